"""Aligns an answer to the document: exactly, else with case, spaces and quotes set aside."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from spacy.tokens import Doc

Grounded = Literal["exact", "normalized", "none"]

_KINDS = {"'": "’‘`", '"': "“”„«»", "-": "‐‑–"}
_PLAIN = {char: plain for plain, kinds in _KINDS.items() for char in kinds}
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
    """Finds an answer in a Doc's text, in a time that grows with the text and not with the answer.

    Of several mentions the first that begins and ends at token boundaries is taken, else the
    first of all.

    Args:
        doc: Where to look.
        answer: What to look for, without white space at its ends.
    """
    span = _best(doc, _mentions(doc.text, answer))
    if span is not None:
        return _at(doc, "exact", span)
    text, places = _folded(doc.text)
    mentions = _mentions(text, _folded(answer.strip(_EDGES))[0])
    span = _best(doc, ((places[start], places[end - 1] + 1) for start, end in mentions))
    return Grounding.nowhere() if span is None else _at(doc, "normalized", span)


def _mentions(text: str, piece: str) -> Iterator[tuple[int, int]]:
    """Start and end of every mention of a piece, overlapping ones too; none of an empty one."""
    start = text.find(piece) if piece else -1
    while start >= 0:
        yield start, start + len(piece)
        start = text.find(piece, start + 1)


def _best(doc: Doc, mentions: Iterator[tuple[int, int]]) -> tuple[int, int] | None:
    """The first mention at token boundaries, else the first mention."""
    first: tuple[int, int] | None = None
    for mention in mentions:
        if doc.char_span(*mention) is not None:
            return mention
        first = first or mention
    return first


def _at(doc: Doc, kind: Grounded, span: tuple[int, int]) -> Grounding:
    """The grounding at a span, with the tokens that it touches."""
    tokens = doc.char_span(*span, alignment_mode="expand")
    if not tokens:  # nothing but the space between two tokens
        return Grounding(kind, *span)
    return Grounding(kind, *span, tokens.start, tokens.end)


def _folded(text: str) -> tuple[str, list[int]]:
    """A text without case, runs of white space and kinds of quotes; where each character was."""
    folded: list[str] = []
    places: list[int] = []
    for place, char in enumerate(text):
        plain = " " if char.isspace() else _PLAIN.get(char) or char.casefold()
        if plain == " " and folded[-1:] == [" "]:
            continue
        folded += plain  # a character may fold to two
        places += [place] * len(plain)
    return "".join(folded), places
