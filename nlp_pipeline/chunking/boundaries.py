"""Where a document may be cut, from the best places to the worst."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from functools import cached_property

from spacy.tokens import Doc, Span

from nlp_pipeline.chunking.chunk import Ends


class Boundaries:
    """The places of a Doc between which a chunk may stand, as character offsets.

    Args:
        doc: Its sentences, entities and noun chunks are used where it has them.
    """

    def __init__(self, doc: Doc) -> None:
        self._doc = doc
        self.text = doc.text
        self._idx = [token.idx for token in doc]
        self._inside = _inside_names(doc)

    @cached_property
    def sentences(self) -> list[int]:
        """Where sentences begin, and the end of the text.

        A beginning inside an entity or a noun chunk is none. Without sentences the text is one.
        """
        doc = self._doc
        starts = [s.start for s in doc.sents] if doc.has_annotation("SENT_START") else [0]
        cuts = [self._idx[start] for start in starts if not self._inside[start]]
        # The first token has nothing before it that it could belong to.
        return sorted({0, *cuts, len(self.text)})

    def finer(self, start: int, end: int) -> Iterator[tuple[Ends, list[int]]]:
        """Cuts of a piece that is too long, kind by kind, both of its ends included."""
        first, last = bisect_right(self._idx, start), bisect_left(self._idx, end)
        tokens = range(first, last)
        outside = (self._idx[i] for i in tokens if not self._inside[i])
        yield "token", [start, *outside, end]
        yield "name", [start, *(self._idx[i] for i in tokens), end]
        yield "character", list(range(start, end + 1))

    def tokens(self, start: int, end: int) -> tuple[int, int]:
        """The tokens that a piece touches."""
        return max(0, bisect_right(self._idx, start) - 1), bisect_left(self._idx, end)

    def sentence_ids(self, start: int, end: int) -> tuple[int | None, int | None]:
        """The sentences that tokens stand in."""
        if not self._starts or start >= end:
            return None, None
        return bisect_right(self._starts, start) - 1, bisect_right(self._starts, end - 1)

    @cached_property
    def _starts(self) -> list[int]:
        doc = self._doc
        return [s.start for s in doc.sents] if doc.has_annotation("SENT_START") else []


def _inside_names(doc: Doc) -> list[bool]:
    """Per token whether it goes on with the entity or the noun chunk of the token before."""
    inside = [False] * len(doc)
    for span in (*doc.ents, *_noun_chunks(doc)):
        inside[span.start + 1 : span.end] = [True] * (len(span) - 1)
    return inside


def _noun_chunks(doc: Doc) -> list[Span]:
    """The noun chunks; none without a parse, or in a language that has no rules for them."""
    if not doc.has_annotation("DEP"):
        return []
    try:
        return list(doc.noun_chunks)
    except NotImplementedError:
        return []
