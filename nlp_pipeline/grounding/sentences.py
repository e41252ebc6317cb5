"""The sentences of a Doc, and which of them each token is in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spacy.tokens import Doc, Span


def sentences_of(doc: Doc) -> list[Span]:
    """The sentences; none where the pipeline sets none."""
    return list(doc.sents) if doc.has_annotation("SENT_START") else []


def sentence_numbers(doc: Doc, sentences: Sequence[Span]) -> list[int | None]:
    """The number of each token's sentence; None for all where there are none.

    Args:
        doc: The document.
        sentences: Those of `sentences_of`.
    """
    numbers: list[int | None] = [None] * len(doc)
    for number, sentence in enumerate(sentences):
        numbers[sentence.start : sentence.end] = [number] * len(sentence)
    return numbers
