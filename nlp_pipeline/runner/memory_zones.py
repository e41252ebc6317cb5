"""Flat memory: Docs live in spaCy's memory zones, so that new words do not pile up.

Every word that a pipeline has not seen before stays in its vocabulary for as long as it lives;
inside `nlp.memory_zone()` (spaCy 3.8) it goes when the zone ends, and with it every Doc that uses
it. So all that is kept of a Doc is made inside, as plain values, and the stream is drained before
a zone ends: no component holds a Doc any more. A zone is wide, because a generator that is
drained has idle places while its last requests run.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from nlp_pipeline.runner.annotate import Annotated

if TYPE_CHECKING:
    from spacy.language import Language

ZONE_DOCUMENTS = 4096
"""Documents in a zone: a generator is drained once in so many."""

ZONE_CHARACTERS = 2**24
"""Code points in a zone, for corpora of long documents."""

T = TypeVar("T")


def in_zones(
    nlp: Language,
    batches: Iterator[list[Annotated]],
    work: Callable[[Generator[Annotated, None, None]], Iterable[T]],
    *,
    documents: int = ZONE_DOCUMENTS,
    characters: int = ZONE_CHARACTERS,
) -> Iterator[T]:
    """What `work` makes of annotated documents, a zone of whole batches after the other.

    Args:
        nlp: The pipeline whose vocabulary the Docs share.
        batches: Makes the Docs of a batch when the batch is asked for, not before.
        work: Called once a zone; takes in all it is given, and gives back plain values.
        documents: A zone ends with the batch that reaches this number,
        characters: or this one.
    """
    while True:
        # A zone ends when this generator is closed, too: what it yields outlives it.
        with nlp.memory_zone():
            batch = next(batches, None)
            if batch is None:
                return
            yield from work(_filling(batch, batches, documents, characters))
            batch = None
        _forget_forms(nlp)


def _filling(
    batch: list[Annotated], batches: Iterator[list[Annotated]], documents: int, characters: int
) -> Generator[Annotated, None, None]:
    """The items of batches, until the zone is full or there are no more."""
    following: list[Annotated] | None = batch
    while following is not None:
        yield from following
        documents -= len(following)
        characters -= sum(len(item.doc.text) for item in following)
        if documents <= 0 or characters <= 0:
            return
        following = next(batches, None)


def _forget_forms(nlp: Language) -> None:
    """Empties the caches of lemmatizers, which keep every word they have seen."""
    for _, pipe in nlp.pipeline:
        cache: Any = getattr(pipe, "cache", None)
        if isinstance(cache, dict):
            cache.clear()
