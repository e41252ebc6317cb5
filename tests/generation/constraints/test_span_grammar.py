"""The grammar of a document's pieces describes these and nothing else."""

from __future__ import annotations

import re
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlp_pipeline.generation.constraints.span_grammar import span_grammar, text_grammar
from nlp_pipeline.generation.constraints.spans import DocumentSpans, spelled

_PARTS = re.compile(r'"((?:[^"\\]|\\.)*)"|(c\d+)|(\S)')
_CHARACTERS = {"\\n": "\n", "\\r": "\r", "\\t": "\t", '\\"': '"', "\\\\": "\\"}


def as_regex(grammar: str) -> str:
    """What a grammar without recursion describes."""
    rules = dict(line.split(" ::= ", 1) for line in grammar.splitlines())

    def expanded(name: str) -> str:
        return "".join(
            f"(?:{expanded(rule)})" if rule else sign if sign else f"(?:{re.escape(plain(text))})"
            for text, rule, sign in _PARTS.findall(rules[name])
        )

    return expanded("root")


def plain(literal: str) -> str:
    text = re.sub(r"\\x(..)", lambda match: chr(int(match[1], 16)), literal)
    return re.sub(r"\\.", lambda match: _CHARACTERS[match[0]], text)


def words(text: str) -> list[tuple[int, int]]:
    return [match.span() for match in re.finditer(r"\w+|[^\w\s]", text)]


def pieces(text: str, breaks: tuple[int, ...] = (), no_answer: str = "") -> DocumentSpans:
    starts, ends = (frozenset(places) for places in zip(*words(text), strict=True))
    return DocumentSpans(text, starts, ends, no_answer=no_answer, breaks=breaks)


@settings(max_examples=60, deadline=None)
@given(text=st.text(alphabet='ab "\\\n.|é\x07', max_size=12), space=st.booleans())
def test_it_takes_the_pieces_and_nothing_else(text: str, space: bool) -> None:
    if not words(text):
        return
    spans = pieces(text)
    language = re.compile(as_regex(span_grammar(spans, after_space=space)))

    def is_piece(candidate: str) -> bool:
        return not candidate.startswith(" ") and bool(spans.occurrences(candidate))

    for start, end in combinations(range(len(text) + 1), 2):
        candidate = spelled(text[start:end])
        expected = is_piece(candidate)
        assert bool(language.fullmatch(f" {candidate}")) is expected
        assert bool(language.fullmatch(f" {candidate}\n")) is expected
        without = (not space and expected) or (candidate[0] == " " and is_piece(candidate[1:]))
        assert bool(language.fullmatch(candidate)) is without


def test_no_piece_goes_over_a_break() -> None:
    spans = pieces("Ann met Bo. He left.", breaks=(11,))
    language = re.compile(as_regex(span_grammar(spans)))
    assert language.fullmatch(" Bo.")
    assert language.fullmatch(" He left")
    assert not language.fullmatch(" Bo. He")


def test_a_piece_may_end_later_than_its_word() -> None:
    spans = DocumentSpans("a-b c", starts={0, 4}, ends={3, 5})
    language = re.compile(as_regex(span_grammar(spans)))
    assert language.fullmatch(" a-b")
    assert language.fullmatch(" a-b c")
    assert not language.fullmatch(" a")
    assert not language.fullmatch(" b")


@pytest.mark.parametrize("text", ["no answer", 'a "b" \\ c', "100 €\tor so"])
def test_a_text_alone(text: str) -> None:
    language = re.compile(as_regex(text_grammar(text)))
    assert language.fullmatch(f" {text}")
    assert not language.fullmatch(text)
    assert re.fullmatch(as_regex(text_grammar(text, after_space=False)), text)
    reply = DocumentSpans("", (), (), no_answer=text)
    assert re.fullmatch(as_regex(span_grammar(reply)), f" {text}\n")


def test_it_grows_with_the_document_only() -> None:
    sizes = [len(span_grammar(pieces("the ferry left at noon. " * n))) for n in (10, 100, 1000)]
    assert sizes[1] < 12 * sizes[0]
    assert sizes[2] < 13 * sizes[1]
