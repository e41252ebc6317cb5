"""The items of a corpus, by their kind: where a test expects records, a reject fails it."""

from __future__ import annotations

from collections.abc import Iterable

from nlp_pipeline.corpus import Record, Reject


def records_of(items: Iterable[Record | Reject]) -> list[Record]:
    """The items, all of which have to be records."""
    items = list(items)
    records = [item for item in items if isinstance(item, Record)]
    assert len(records) == len(items), items
    return records


def rejects_of(items: Iterable[Record | Reject]) -> list[Reject]:
    """The items, none of which may be a record."""
    items = list(items)
    rejects = [item for item in items if isinstance(item, Reject)]
    assert len(rejects) == len(items), items
    return rejects
