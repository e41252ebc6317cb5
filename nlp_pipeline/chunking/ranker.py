"""Which chunks can hold the answer to a question."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import log

from spacy.tokens import Doc, Token

from nlp_pipeline.chunking.chunk import Chunk

ENTITY_WEIGHT = 2.0
"""A name of the question that stands in a chunk counts so much more than its words alone."""


@dataclass(frozen=True, slots=True)
class Query:
    """What of a question is looked for, as plain texts.

    A Doc cannot be kept: that of a memory zone is gone when the zone ends.

    Attributes:
        words: Per word its forms without case: as it stands, and its lemma.
        names: Its entities without case.
    """

    words: tuple[frozenset[str], ...]
    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, question: Doc) -> Query:
        """The query of an annotated question; stop words and punctuation are left out."""
        words = (frozenset(_forms(token)) for token in question if _counts(token))
        return cls(tuple(words), tuple(entity.text.casefold() for entity in question.ents))


def rank(doc: Doc, chunks: Sequence[Chunk], query: Query) -> list[int]:
    """Chunk ids, the likeliest to hold the answer first; equal ones in their order.

    A chunk scores for every word of the question that it holds, as it stands or by its lemma,
    by how few of the chunks hold it (inverse document frequency); and for every entity of the
    question that it holds as it stands, case aside.

    Args:
        doc: The document.
        chunks: Its chunks.
        query: Of the question.
    """
    names = query.names
    chunk_forms = [_forms_of(doc[chunk.start_token : chunk.end_token]) for chunk in chunks]
    texts = [doc.text[c.start_char : c.end_char].casefold() for c in chunks] if names else []
    scores = [0.0] * len(chunks)
    for forms in query.words:
        _add(scores, [bool(forms & forms_in_chunk) for forms_in_chunk in chunk_forms], 1.0)
    for name in names:
        _add(scores, [name in text for text in texts], ENTITY_WEIGHT)
    order = sorted(range(len(chunks)), key=lambda number: (-scores[number], number))
    return [chunks[number].chunk_id for number in order]


def _add(scores: list[float], matches: list[bool], weight: float) -> None:
    """Rewards the chunks that hold something by how rare that is."""
    hits = sum(matches)
    value = weight * log(1 + len(matches) / hits) if hits else 0.0
    for number, hit in enumerate(matches):
        scores[number] += value * hit


def _forms_of(tokens: Iterable[Token]) -> set[str]:
    return {form for token in tokens if _counts(token) for form in _forms(token)}


def _forms(token: Token) -> set[str]:
    """A word as it stands and its lemma, without case."""
    return {token.lower_, token.lemma_.casefold() or token.lower_}


def _counts(token: Token) -> bool:
    return not (token.is_stop or token.is_punct or token.is_space)
