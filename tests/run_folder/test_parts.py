"""Parts are put together from two threads: one runs ahead through the records, one brings rows."""

from __future__ import annotations

import sys
from contextlib import closing
from typing import Any

import pytest

from nlp_pipeline.corpus import Record
from nlp_pipeline.run_folder.folder import open_run
from nlp_pipeline.run_folder.ledger import entry_of, failed_ones
from nlp_pipeline.run_folder.parts import PartWriter, in_parts
from nlp_pipeline.runner.prefetch import prefetch
from nlp_pipeline.tables.schemas import TABLES


def rows_of(record: Record) -> dict[str, list[dict[str, Any]]]:
    """The rows of a document of which nothing but its place is known."""
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}
    document = {"document_id": record.id, "position": record.index, "status": "ok"}
    rows["documents"] = [{**document, "meta": "{}"}]
    return rows


@pytest.fixture
def restless():
    """Threads take turns far more often than they would."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def assemble(out, records: list[Record]) -> list[int]:
    """Runs the records through, in parts of two; gives back the documents of each part."""
    with open_run(out, {}, "jsonl") as folder:
        folder.write_manifest({"fingerprint": {}, "format": "jsonl"})
        parts = PartWriter(folder, 2, failed_ones)
        pairs = [(entry_of(record), lambda record=record: record) for record in records]
        wanted = (item for item in parts.wanted(in_parts(pairs, 2)))
        with closing(prefetch(wanted, 16)) as stream:
            for record in stream:
                assert isinstance(record, Record)
                parts.add(rows_of(record))
        parts.finish()
        folder.close_books()
        return [receipt.documents for receipt in folder.receipts]


def test_every_part_is_written_once_and_whole(tmp_path, restless) -> None:
    """Without the lock this fails: both threads write a part, or one takes it from the other."""
    records = [Record(i, f"d{i}", f"Text {i}.") for i in range(61)]
    assert assemble(tmp_path, records) == [2] * 30 + [1]
