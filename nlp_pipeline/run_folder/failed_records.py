"""The records that failed, read back from a run's own tables: `retry` needs no corpus."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache, partial

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
    """The records of the finished parts, each with a way to have it back from the tables."""

    @lru_cache(maxsize=1)  # they are asked for in their order
    def texts(part: int) -> list[str | None]:
        receipt = folder.receipts[part]
        table = read_table_of(folder.path, receipt, "documents", folder.format, ["text"])
        values: list[str | None] = table["text"].to_pylist()
        return values

    def record(entry: Entry, position: int) -> Record:
        part, offset = divmod(position, part_size)
        return _record(folder, entry, position, texts(part)[offset], corpus)

    for position, entry in enumerate(ledger_entries(folder, corpus)):
        yield entry, partial(record, entry, position)


def _record(
    folder: RunFolder, entry: Entry, position: int, text: str | None, corpus: str
) -> Record:
    """A record as the corpus gave it; its digest says that nothing of it is lost.

    Raises:
        CorpusNeeded: The tables do not give it back as it was.
    """
    questions = tuple(Question(q["id"], q["text"]) for q in entry.questions)
    record = Record(
        position,
        entry.id,
        text=text or "",
        meta=entry.meta,
        questions=questions,
        source=entry.source,
        line=entry.line,
    )
    if entry_of(record).digest != entry.digest:
        raise CorpusNeeded(str(folder.path), corpus, entry.id)
    return record
