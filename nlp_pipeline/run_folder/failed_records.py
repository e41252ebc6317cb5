"""The records that failed, read back from a run's own tables: `retry` needs no corpus."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache, partial
from typing import Any

from nlp_pipeline.corpus import Record
from nlp_pipeline.corpus.record import Question
from nlp_pipeline.errors.run import CorpusNeeded
from nlp_pipeline.run_folder.ledger import Entry, RetryWhen, entry_of, read_ledger
from nlp_pipeline.run_folder.parts import Load
from nlp_pipeline.run_folder.receipts import read_table_of
from nlp_pipeline.run_folder.writer import RunFolder


def retry_chosen(types: tuple[str, ...] = (), ids: tuple[str, ...] = ()) -> RetryWhen:
    """Which failed documents are tried again; all by default.

    Args:
        types: Only those with an error of one of these types.
        ids: Only these.
    """

    def retry_when(entry: Entry) -> bool:
        has_type = not types or not set(types).isdisjoint(entry.types)
        return entry.state == "failed" and has_type and (not ids or entry.id in ids)

    return retry_when


def ledger_entries(folder: RunFolder, corpus: str) -> Iterator[Entry]:
    """What the ledgers of the finished parts say, in the order of the corpus.

    Args:
        folder: The run.
        corpus: Where its records came from, for messages.

    Raises:
        CorpusNeeded: A ledger is missing or damaged.
    """
    for receipt in folder.receipts:
        entries = read_ledger(folder.path, receipt.part)
        if len(entries) != receipt.documents:
            raise CorpusNeeded(str(folder.path), corpus)
        yield from entries


def records_again(folder: RunFolder, part_size: int, corpus: str) -> Iterator[tuple[Entry, Load]]:
    """The records of the finished parts, each with a way to have it back from the tables.

    That raises `CorpusNeeded` where the tables do not give it back as it was.
    """

    @lru_cache(maxsize=1)  # they are asked for in their order
    def texts(part: int) -> list[str | None]:
        receipt = folder.receipts[part]
        table = read_table_of(folder.path, receipt, "documents", folder.format, ["text"])
        values: list[str | None] = table["text"].to_pylist()
        return values

    @lru_cache(maxsize=1)
    def layouts(part: int) -> dict[str, list[dict[str, Any]]]:
        return layouts_of(folder, part)

    def record(entry: Entry, position: int) -> Record:
        part, offset = divmod(position, part_size)
        again = _record(entry, position, texts(part)[offset], layouts(part).get(entry.id, []))
        if entry_of(again).digest != entry.digest:
            raise CorpusNeeded(str(folder.path), corpus, entry.id)
        return again

    for position, entry in enumerate(ledger_entries(folder, corpus)):
        yield entry, partial(record, entry, position)


def layouts_of(folder: RunFolder, part: int) -> dict[str, list[dict[str, Any]]]:
    """The rows of the table `layout` of a finished part, by document."""
    by_document: dict[str, list[dict[str, Any]]] = {}
    table = read_table_of(folder.path, folder.receipts[part], "layout", folder.format)
    for row in table.to_pylist():
        by_document.setdefault(row.pop("document_id"), []).append(row)
    return by_document


def _record(entry: Entry, position: int, text: str | None, layout: list[dict[str, Any]]) -> Record:
    """A record as the corpus gave it, if its digest says that nothing of it is lost."""
    questions = tuple(Question(q["id"], q["text"]) for q in entry.questions)
    return Record(
        position,
        entry.id,
        text=text or "",
        meta=entry.meta,
        questions=questions,
        source=entry.source,
        line=entry.line,
        layout=tuple(layout),
    )
