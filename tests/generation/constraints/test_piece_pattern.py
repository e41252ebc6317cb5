"""Pieces of a document as a regular expression: every one of them, and nothing else."""

from __future__ import annotations

import re
from typing import Any

import pytest
import spacy

from nlp_pipeline.generation.constraints.piece_pattern import piece_pattern, schema_with_pieces

TEXT = (
    "In Oslo, Omar Haddad (b. 1970) paid $3.50 to Delta Motors [twice]. He is 5'11\" tall; his "
    "path is C:\\data*+? and he\nlives in São Paulo, 東京 and elsewhere."
)


def pieces_of(text: str) -> list[str]:
    """The text as `llama_extractor` cuts it."""
    return [piece for token in spacy.blank("en")(text) for piece in (token.text, token.whitespace_)]


def token_spans(text: str) -> list[str]:
    """Every piece from a token to a token, spaces for line breaks."""
    tokens = [token for token in spacy.blank("en")(text) if not token.is_space]
    return [
        text[first.idx : last.idx + len(last)].replace("\n", " ")
        for number, first in enumerate(tokens)
        for last in tokens[number:]
    ]


@pytest.mark.parametrize("longest", [8, 40, 120])
def test_it_matches_the_pieces_of_a_text_and_nothing_else(longest: int) -> None:
    pattern = re.compile(piece_pattern(pieces_of(TEXT), longest))
    spans = {span for span in token_spans(TEXT) if not set('"\\') & set(span)}
    spelled = TEXT.replace("\n", " ")
    matches = {
        spelled[start:end]
        for start in range(len(spelled))
        for end in range(start + 1, len(spelled) + 1)
        if pattern.fullmatch(spelled[start:end])
    }
    assert matches <= {span for span in spans if len(span) <= longest}
    assert matches >= {span for span in spans if len(span) <= longest - longest // 4 + 1}
    for other in ("", " Oslo", "Oslo ", "Osl", "Haddad Omar", "oslo", "$3550", "Oslo, Oslo"):
        assert not pattern.fullmatch(other), other


def test_it_grows_with_the_text_and_not_with_its_pieces() -> None:
    texts = [" ".join(f"w{number}" for number in range(count)) for count in (100, 1000)]
    short, long = (len(piece_pattern(pieces_of(text), 120)) for text in texts)
    assert long < 14 * short
    assert long < 15 * len(texts[1])


@pytest.mark.parametrize("text", ["", " \n ", '"', '" \\ "', "x" * 9])
def test_a_text_without_a_piece(text: str) -> None:
    assert piece_pattern(pieces_of(text), 8) == ""
    form = {"type": "object", "properties": {"a": {"type": "string", "maxLength": 8}}}
    assert schema_with_pieces(form, {"a"}, pieces_of(text)) is None


def test_the_texts_of_some_names_become_pieces_wherever_they_stand() -> None:
    text: dict[str, Any] = {"type": "string", "maxLength": 20}
    form = {
        "type": "object",
        "properties": {
            "who": {**text, "enum": ["x"], "description": "A name."},
            "often": {"type": "array", "items": text, "maxItems": 3},
            "maybe": {"type": ["string", "null"], "maxLength": 30},
            "pydantic": {"anyOf": [text, {"type": "null"}]},
            "free": text,
            "deep": {"type": "object", "properties": {"who": text, "n": {"type": "integer"}}},
        },
        "required": ["who"],
    }
    names = {"who", "often", "maybe", "pydantic"}
    sent = schema_with_pieces(form, names, pieces_of("Ann met Bo."))
    assert sent is not None
    piece = {"$ref": "#/$defs/piece20"}
    assert sent["properties"] == {
        "who": piece,
        "often": {"type": "array", "items": piece, "maxItems": 3},
        "maybe": {"anyOf": [{"$ref": "#/$defs/piece30"}, {"type": "null"}]},
        "pydantic": {"anyOf": [piece, {"type": "null"}]},
        "free": text,
        "deep": {"type": "object", "properties": {"who": piece, "n": {"type": "integer"}}},
    }
    assert sent["required"] == ["who"]
    for name, longest in (("piece20", 20), ("piece30", 30)):
        pattern = piece_pattern(pieces_of("Ann met Bo."), longest)
        # No length beside it: vLLM refuses the two together.
        assert sent["$defs"][name] == {"type": "string", "pattern": pattern}
    assert "pattern" not in str(form), "the schema itself is left alone"
    assert schema_with_pieces(form, set(), pieces_of("Ann met Bo.")) == form
