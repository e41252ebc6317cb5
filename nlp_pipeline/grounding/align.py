"""Aligns an answer to the document: exactly, else with case, spaces and quotes set aside."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from spacy.tokens import Doc

Grounded = Literal["exact", "normalized", "none"]

_QUOTES = {"'": "['’‘`]", '"': '["“”„«»]', "-": "[-‐‑–]"}
_QUOTE_OF = {char: key for key, chars in _QUOTES.items() for char in chars.strip("[]")}
_EDGES = " \t\r\n.,;:!?\"'“”‘’„«»"


@dataclass(frozen=True)
class Grounding:
    """Where an answer stands.

    Attributes:
        grounded: `exact`: the document holds these very characters; `normalized`: it does once
            case, runs of white space, kinds of quotes and punctuation at the ends are set
            aside; `none`: it does not.
        start_char: First character, in Unicode code points of the document's text.
        end_char: One past the last.
        start_token: First spaCy token that the piece touches.
        end_token: One past the last.
    """

    grounded: Grounded
    start_char: int | None = None
    end_char: int | None = None
    start_token: int | None = None
    end_token: int | None = None

    @classmethod
    def nowhere(cls) -> Grounding:
        """The grounding of what does not stand in the text."""
        return cls("none")

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for `doc._.answers`."""
        return asdict(self)


def ground(doc: Doc, answer: str) -> Grounding:
    """Finds an answer in a Doc's text.

    Of several mentions the first that begins and ends at token boundaries is taken, else the
    first of all.
    """
    kinds: tuple[tuple[Grounded, str | None], ...] = (
        ("exact", re.escape(answer)),
        ("normalized", _loose(answer)),
    )
    for kind, pattern in kinds:
        if pattern is None:
            continue
        span = _best(doc, re.finditer(pattern, doc.text, re.IGNORECASE * (kind != "exact")))
        if span is not None:
            tokens = doc.char_span(*span, alignment_mode="expand")
            if tokens is None:
                return Grounding(kind, *span)
            return Grounding(kind, *span, tokens.start, tokens.end)
    return Grounding.nowhere()


def _best(doc: Doc, matches: Iterator[re.Match[str]]) -> tuple[int, int] | None:
    """The first match at token boundaries, else the first match."""
    first: tuple[int, int] | None = None
    for match in matches:
        if doc.char_span(*match.span()) is not None:
            return match.span()
        first = first or match.span()
    return first


def _loose(answer: str) -> str | None:
    """A pattern for the answer in which white space and quotes match any of their kinds."""
    words = answer.strip(_EDGES).split()
    if not words:
        return None
    return r"\s+".join("".join(map(_loose_character, word)) for word in words)


def _loose_character(char: str) -> str:
    kind = _QUOTE_OF.get(char)
    return _QUOTES[kind] if kind else re.escape(char)
