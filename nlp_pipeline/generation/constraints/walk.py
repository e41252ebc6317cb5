"""The ways through a document in a model's tokens: a graph over the places between its bytes.

At every place the graph has the token that the tokenizer itself would use there, and shorter
ones where a piece may end inside it. So no text is spelled in odd pieces that the model has never
seen, every allowed piece can be spelled, and no way ends before one does.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection
from itertools import pairwise

from nlp_pipeline.generation.constraints.segmenter import Segmenter
from nlp_pipeline.generation.constraints.vocabulary import Vocabulary

_BREAK = b"\0"
"""Stands in the bytes at a break; no way goes over it, whatever it is."""

WORD = 48
"""So many bytes are cut into tokens at a time where the document's own tokens do not help."""


class Walk:
    """The graph of one document for one model. Built once, then only read.

    Args:
        vocabulary: Of the model.
        text: The document, without line breaks.
        starts: Where pieces may begin, in code points.
        ends: Where they may end.
        no_answer: A reply that is no piece, after the document in the same graph; or empty.
        breaks: Places that no piece goes over, in code points: each at the space before a piece
            of the document that does not follow on what stands before it.

    Attributes:
        first: Token to places after it, at the beginning of an answer.
        edges: Place to token to the place after it. Places count bytes of UTF-8. A negative
            place stands before its piece's first byte: a lone space came, and nothing else.
        ends: Where a piece may end, and the end of the reply.
        stops: Tokens that may come there, in ascending order.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        text: str,
        starts: Collection[int],
        ends: Collection[int],
        no_answer: str,
        breaks: Collection[int] = (),
    ) -> None:
        self._segmenter = Segmenter.of(vocabulary)
        cuts = sorted(breaks)
        # One byte more at every break, so that the end before it and the space after it are
        # different places.
        parts = [text[a:b].encode() for a, b in pairwise([0, *cuts, len(text)])]
        self._bytes = _BREAK.join(parts)
        offsets = [0]
        for number, char in enumerate(text):
            offsets.append(offsets[-1] + (number in breaks) + len(char.encode()))
        self._breaks = [offsets[cut] for cut in cuts]
        self._inner = sorted({offsets[end] for end in ends})
        self._last = self._inner[-1] if self._inner else 0
        self.first: dict[int, list[int]] = {}
        self.edges: dict[int, dict[int, int]] = {}
        self.ends = set(self._inner)
        newlines = (i for i, data in enumerate(vocabulary.token_bytes) if data == b"\n")
        self.stops = sorted(vocabulary.eos_token_ids.union(newlines))
        place = 0
        for part in parts:
            self._own(part, place)
            place += len(part) + len(_BREAK)
        for start in sorted({offsets[start] for start in starts}):
            if start < self._last:
                self._begin(start)
        if no_answer:
            self._reply(no_answer)

    def _own(self, data: bytes, place: int) -> None:
        """The tokenizer's own way through a part of the document that no break is in."""
        for token, length in self._segmenter.pieces(data):
            self._add(place, token, length)
            place += length

    def _begin(self, start: int) -> None:
        """The ways into a piece: with the space before it, which may be there or only thought."""
        own = self.edges.get(start - 1, {}) if self._bytes[start - 1 : start] == b" " else {}
        if own:
            for token, target in own.items():
                self._enter(token, start, target)
            return
        word = self._word(start)
        (token, length), *rest = self._segmenter.pieces(b" " + word)
        self._enter(token, start, start + length - 1)
        for end in self._ends_between(start, start + length - 1):
            pieces = self._segmenter.pieces(b" " + self._bytes[start:end])
            self._enter(pieces[0][0], start, start + pieces[0][1] - 1)
            self._chain(start + pieces[0][1] - 1, pieces[1:])
        self._chain(start + length - 1, rest)
        self._go_on(start + length - 1)

    def _enter(self, token: int, start: int, target: int) -> None:
        """One way in; `target` is `start` itself where the token was a lone space."""
        if target > self._last:
            return
        if target == start:
            self._go_on(start)
            self.edges[-start - 1] = self.edges[start]
            target = -start - 1
        places = self.first.setdefault(token, [])
        if target not in places:
            places.append(target)

    def _add(self, place: int, token: int, length: int) -> None:
        """A token at a place, and shorter ways to the ends inside it."""
        if place + length <= self._last:
            self.edges.setdefault(place, {})[token] = place + length
        for end in self._ends_between(place, place + length):
            self._chain(place, self._segmenter.pieces(self._bytes[place:end]))

    def _chain(self, place: int, pieces: list[tuple[int, int]]) -> None:
        """Adds a path of tokens, each beginning where the one before it ends."""
        for token, length in pieces:
            if self.edges.get(place, {}).get(token) is None:
                self._add(place, token, length)
            place += length
        self._go_on(place)

    def _go_on(self, place: int) -> None:
        """A place that no token of the document's own begins at gets its way on to the next."""
        while place < self._last and place not in self.edges and place not in self._breaks:
            pieces = self._segmenter.pieces(self._word(place))
            for token, length in pieces:
                self._add(place, token, length)
                place += length

    def _word(self, place: int) -> bytes:
        """From a place up to the next space, or a bit of it, in whole characters."""
        space = self._bytes.find(b" ", place + 1, place + WORD)
        number = bisect_left(self._breaks, place + 1)
        limit = self._breaks[number] if number < len(self._breaks) else len(self._bytes)
        end = min(space if space > 0 else place + WORD, limit)
        while end < len(self._bytes) and self._bytes[end] & 0xC0 == 0x80:
            end += 1
        return self._bytes[place:end]

    def _ends_between(self, low: int, high: int) -> list[int]:
        """Ends strictly between two places; a token is short, so few."""
        return [place for place in range(low + 1, high) if place in self.ends]

    def _reply(self, no_answer: str) -> None:
        """The fixed reply, in the tokenizer's own tokens, behind the document's end."""
        place = len(self._bytes) + 1
        (token, length), *rest = self._segmenter.pieces(b" " + no_answer.encode())
        place += length
        self.first.setdefault(token, []).append(place)
        for token, length in rest:
            self.edges.setdefault(place, {})[token] = place + length
            place += length
        self.ends.add(place)
