"""A piece of text in the tokens that the tokenizer itself uses, with the bytes of each."""

from __future__ import annotations

from functools import cached_property

from nlp_pipeline.errors.generation import NoSpanPossible
from nlp_pipeline.generation.constraints.vocabulary import Vocabulary

Piece = tuple[int, int]
"""A token's id and its number of bytes."""


class Segmenter:
    """Cuts bytes into tokens, so that their bytes joined are what was cut, whatever comes.

    Args:
        vocabulary: Of the model.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._cache: dict[bytes, list[Piece]] = {}

    @classmethod
    def of(cls, vocabulary: Vocabulary) -> Segmenter:
        """The one of a vocabulary; words come again and again."""
        segmenter: Segmenter = vocabulary.compiled.setdefault(cls, cls(vocabulary))
        return segmenter

    def pieces(self, data: bytes) -> list[Piece]:
        """The tokenizer's own tokens for some bytes.

        Where these say something else than was asked for (a tokenizer that tidies its text, or
        half a character), the longest tokens that fit from the left are taken.

        Raises:
            NoSpanPossible: The vocabulary cannot spell them.
        """
        if data not in self._cache:
            pieces = self._by_tokenizer(data)
            if pieces is None:
                pieces = self._longest(data)
            if len(data) > _LONG:
                return pieces
            self._cache[data] = pieces
        return self._cache[data]

    def _by_tokenizer(self, data: bytes) -> list[Piece] | None:
        try:
            text = data.decode()
        except UnicodeDecodeError:
            return None
        # SentencePiece puts a space before a text by itself.
        for attempt in (text, text[1:]) if text.startswith(" ") else (text,):
            ids = self._vocabulary.encode(attempt)
            tokens = [self._vocabulary.token_bytes[i] for i in ids]
            joined = b"".join(tokens)
            if joined == data:
                return [(i, len(token)) for i, token in zip(ids, tokens, strict=True) if token]
            if joined == b" " + data and tokens[0] == b" ":
                return [(i, len(t)) for i, t in zip(ids[1:], tokens[1:], strict=True) if t]
        return None

    def _longest(self, data: bytes) -> list[Piece]:
        pieces: list[Piece] = []
        start = 0
        while start < len(data):
            lengths = range(min(self._most, len(data) - start), 0, -1)
            length = next((n for n in lengths if data[start : start + n] in self._ids), 0)
            if not length:
                raise NoSpanPossible(len(data), data[start : start + 1])
            pieces.append((self._ids[data[start : start + length]], length))
            start += length
        return pieces

    @cached_property
    def _ids(self) -> dict[bytes, int]:
        """The lowest id of each token's bytes."""
        tokens = self._vocabulary.token_bytes
        return {tokens[i]: i for i in reversed(range(len(tokens))) if tokens[i]}

    @cached_property
    def _most(self) -> int:
        return max(map(len, self._ids))


_LONG = 64
"""Longer pieces are not kept: they do not come again."""
