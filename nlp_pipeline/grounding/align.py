"""Aligns an answer to the document: exactly, with spelling set aside, or word by word."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from spacy.tokens import Doc, Span

from nlp_pipeline.grounding.folding import fold, fold_hyphens
from nlp_pipeline.grounding.fuzzy import align_words
from nlp_pipeline.grounding.text import TextIndex

Alignment = Literal["exact", "normalized", "fuzzy", "none"]

_LONGER = 1024
"""Characters, such as invisible ones, by which an answer may be longer than twice its place."""
_EDGES = " \t\r\n.,;:!?\"'“”‘’„«»"


@dataclass(frozen=True)
class Grounding:
    """Where an answer stands.

    Attributes:
        alignment: `exact`: the document holds these very characters; `normalized`: it does once
            case, runs of white space, kinds of quotes and dashes, hyphens at line ends, what is
            invisible, punctuation, accents and inflection (lemmas) are set aside; `fuzzy`: most of
            its words stand there in this order (`grounding.fuzzy`); `none`: it does not stand
            there.
        start_char: First character, in Unicode code points of the document's text.
        end_char: One past the last.
        start_token: First spaCy token that the piece touches.
        end_token: One past the last.
        alignment_score: Similarity of the answer and the piece, in (0, 1]: 1 for `exact` and
            `normalized`, at least `grounding.fuzzy.THRESHOLD` for `fuzzy`; None for `none`.
    """

    alignment: Alignment
    start_char: int | None = None
    end_char: int | None = None
    start_token: int | None = None
    end_token: int | None = None
    alignment_score: float | None = None

    @classmethod
    def nowhere(cls) -> Grounding:
        """The grounding of what does not stand in the text."""
        return cls("none")

    @classmethod
    def of_span(cls, span: Span) -> Grounding:
        """The grounding of what is a piece of the text."""
        place = (span.start_char, span.end_char, span.start, span.end)
        return cls("exact", *place, alignment_score=1.0)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for `doc._.answers`."""
        if self.alignment_score is None and self.alignment in ("exact", "normalized"):
            return asdict(replace(self, alignment_score=1.0))
        return asdict(self)


def ground(
    doc: Doc | TextIndex,
    answer: str,
    *,
    read: Doc | Span | None = None,
    question: Mapping[str, float] | None = None,
) -> Grounding:
    """Finds an answer in a Doc's text.

    Of several mentions at token boundaries the one whose sentence shares the most terms with the
    question is taken (entities and numbers count twice), else the first; where none is at token
    boundaries, the first.

    Args:
        doc: Where to look; an index of it where several answers are looked for.
        answer: What to look for, without white space at its ends.
        read: The answer as a Doc with lemmas, for what only inflection or wording sets apart.
            Without it neither is tried.
        question: The question's terms (`grounding.text.terms`).
    """
    index = doc if isinstance(doc, TextIndex) else TextIndex(doc)
    span = _best(index, _mentions(index.text, answer), question)
    if span is not None:
        return _at(index.doc, "exact", span)
    span = _best_folded(index, answer.strip(_EDGES), question)
    if span is not None:
        return _at(index.doc, "normalized", span)
    return Grounding.nowhere() if read is None else ground_words(index, read)


def ground_words(index: TextIndex, read: Doc | Span) -> Grounding:
    """Finds the piece of a Doc that has an answer's words, by their lemmas, or most of them.

    Args:
        index: Where to look.
        read: The answer with lemmas.
    """
    match = align_words(index, read)
    if match is None:
        return Grounding.nowhere()
    piece = index.doc[match.start : match.end]
    kind: Alignment = "normalized" if match.score == 1 else "fuzzy"
    grounding = _at(index.doc, kind, (piece.start_char, piece.end_char))
    return replace(grounding, alignment_score=match.score)


def _best_folded(
    index: TextIndex, answer: str, question: Mapping[str, float] | None
) -> tuple[int, int] | None:
    """The best mention with spelling set aside; then with hyphens set aside as well."""
    if len(answer) > 2 * len(index.text) + _LONGER:
        return None
    for folded, piece in (
        (index.folded, fold(answer)),
        (index.hyphenless, fold_hyphens(answer)),
    ):
        places = (folded.span(*place) for place in _mentions(folded.text, piece.text.strip()))
        span = _best(index, places, question)
        if span is not None:
            return span
    return None


def _mentions(text: str, piece: str) -> Iterator[tuple[int, int]]:
    """Start and end of every mention of a piece, overlapping ones too; none of an empty one."""
    start = text.find(piece) if piece else -1
    while start >= 0:
        yield start, start + len(piece)
        start = text.find(piece, start + 1)


def _best(
    index: TextIndex,
    mentions: Iterator[tuple[int, int]],
    question: Mapping[str, float] | None,
) -> tuple[int, int] | None:
    """The mention at token boundaries that the question supports best, else the first mention."""
    first: tuple[int, int] | None = None
    best: tuple[int, int] | None = None
    most = -1.0
    for mention in mentions:
        first = first or mention
        if mention[0] in index.starts and mention[1] in index.ends:
            if not question:
                return mention
            support = _support(index, index.starts[mention[0]], question)
            if support > most:
                best, most = mention, support
    return best or first


def _support(index: TextIndex, token: int, question: Mapping[str, float]) -> float:
    """The weight of the question's terms that the token's sentence holds."""
    number = index.sentence_of[token]
    if number is None:
        return 0.0
    terms_of_sentence = index.sentence_terms[number]
    return sum(weight for term, weight in question.items() if term in terms_of_sentence)


def _at(doc: Doc, kind: Alignment, span: tuple[int, int]) -> Grounding:
    """The grounding at a span, with the tokens that it touches."""
    tokens = doc.char_span(*span, alignment_mode="expand")
    if not tokens:  # nothing but the space between two tokens
        return Grounding(kind, *span, alignment_score=1.0)
    return Grounding(
        kind, *span, start_token=tokens.start, end_token=tokens.end, alignment_score=1.0
    )
