"""Flat memory: Docs live in spaCy's memory zones, so that new words do not pile up.

Every word that a pipeline has not seen before stays in its vocabulary for as long as it lives;
inside `nlp.memory_zone()` (spaCy 3.8) it goes when the zone ends, and with it every Doc that uses
it. So all that is kept of a Doc is made inside, as plain values, and the stream is drained before
a zone ends: no component holds a Doc any more. A zone is wide, because a generator that is
drained has idle places while its last requests run.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

from nlp_pipeline.runner.annotate import Annotated

if TYPE_CHECKING:
    from spacy.language import Language

ZONE_DOCUMENTS = 4096
"""Documents in a zone: a generator is drained once in so many."""

ZONE_CHARACTERS = 2**24
"""Code points in a zone, for corpora of long documents."""


def memory_zones(
    nlp: Language,
    batches: Iterator[list[Annotated]],
    *,
    documents: int = ZONE_DOCUMENTS,
    characters: int = ZONE_CHARACTERS,
) -> Generator[Generator[Annotated, None, None], None, None]:
    """The annotated documents, zone by zone; a zone ends when the next one is asked for.

    No Doc of a zone may be used after it has ended. Whoever leaves the stream early closes it,
    and with it the zone that is open.

    Args:
        nlp: The pipeline whose vocabulary the Docs share.
        batches: Makes the Docs of a batch when the batch is asked for, not before.
        documents: A zone ends with the batch that reaches this number of documents,
        characters: or this number of code points.
    """
    while True:
        with nlp.memory_zone():
            batch = next(batches, None)
            if batch is None:
                return
            yield _zone(batch, batches, documents, characters)
            batch = None
        _empty_lemma_caches(nlp)


def _zone(
    batch: list[Annotated], batches: Iterator[list[Annotated]], documents: int, characters: int
) -> Generator[Annotated, None, None]:
    """The items of batches, until the zone is full or there are no more."""
    current: list[Annotated] | None = batch
    while current is not None:
        yield from current
        documents -= len(current)
        characters -= sum(len(item.doc.text) for item in current)
        if documents <= 0 or characters <= 0:
            return
        current = next(batches, None)


def _empty_lemma_caches(nlp: Language) -> None:
    """Empties the caches of lemmatizers, which keep every word they have seen."""
    for _, pipe in nlp.pipeline:
        cache: Any = getattr(pipe, "cache", None)
        if isinstance(cache, dict):
            cache.clear()
