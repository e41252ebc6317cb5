"""What of a document stands in one prompt: all of it, a chunk, or some of its sentences."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from spacy.tokens import Doc, Span

from nlp_pipeline.chunking.chunk import Chunk

JOINT = " "
"""Stands between two parts that do not follow on each other in the document."""


@dataclass(frozen=True)
class Passage:
    """Parts of a document, in its order, as one text.

    Attributes:
        name: Tells it from the document's other passages; empty for the whole document.
        parts: Start and end of each part, in code points of the document's text, ascending and
            disjoint.
        tokens: First token that each part touches, and one past the last.
        chunk_id: The chunk that it is; None for another passage.
        sentence_ids: The sentences that it is made of, where it was made of sentences.
    """

    name: str
    parts: tuple[tuple[int, int], ...]
    tokens: tuple[tuple[int, int], ...]
    chunk_id: int | None = None
    sentence_ids: tuple[int, ...] = ()

    @classmethod
    def whole(cls, doc: Doc) -> Passage:
        """Makes a passage of all of a document."""
        return cls("", ((0, len(doc.text)),), ((0, len(doc)),))

    @classmethod
    def of_chunk(cls, chunk: Chunk) -> Passage:
        """Makes a passage of one of a document's chunks."""
        place = (chunk.start_char, chunk.end_char)
        tokens = (chunk.start_token, chunk.end_token)
        return cls(f"#{chunk.chunk_id}", (place,), (tokens,), chunk_id=chunk.chunk_id)

    @classmethod
    def of_sentences(cls, sentences: Sequence[Span], numbers: Sequence[int]) -> Passage:
        """Some sentences of a document; neighbours are one part, with what stands between them.

        Args:
            sentences: All of the document's.
            numbers: Which, ascending, at least one.
        """
        parts: list[tuple[int, int]] = []
        tokens: list[tuple[int, int]] = []
        for index, number in enumerate(numbers):
            sentence = sentences[number]
            text = sentence.text
            end = sentence.start_char + len(text.rstrip())
            if index and numbers[index - 1] == number - 1:
                parts[-1] = (parts[-1][0], end)
                tokens[-1] = (tokens[-1][0], sentence.end)
            else:
                parts.append((sentence.start_char + len(text) - len(text.lstrip()), end))
                tokens.append((sentence.start, sentence.end))
        name = "@" + ",".join(map(str, numbers))
        return cls(name, tuple(parts), tuple(tokens), sentence_ids=tuple(numbers))

    def text(self, doc: Doc) -> str:
        """The parts as they stand in the prompt."""
        return JOINT.join(doc.text[start:end] for start, end in self.parts)

    @cached_property
    def breaks(self) -> tuple[int, ...]:
        """Where the joints stand in the passage's text."""
        return tuple(start - len(JOINT) for start in self._starts[1:])

    def in_document(self, start: int, end: int) -> tuple[int, int]:
        """A place in the passage's text as a place in the document's, in code points.

        Args:
            start: First character; in one part with the last.
            end: One past the last character.
        """
        number = bisect_right(self._starts, start) - 1
        shift = self.parts[number][0] - self._starts[number]
        return start + shift, end + shift

    def in_passage(self, number: int, char: int) -> int:
        """A place in one of the parts, given by the document's offset, in the passage's text."""
        return char - self.parts[number][0] + self._starts[number]

    @cached_property
    def _starts(self) -> list[int]:
        """Where each part begins in the passage's text."""
        starts = [0]
        for start, end in self.parts[:-1]:
            starts.append(starts[-1] + end - start + len(JOINT))
        return starts
