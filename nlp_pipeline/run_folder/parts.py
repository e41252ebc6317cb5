"""Puts documents into parts: new ones, and finished ones of which something has to be made anew.

The records of the corpus go by in their order; of each it is known whether its rows are there
already, and only the others are computed. A finished part is written anew where any row of it
is: the rows of the other documents are taken from the old part as they are.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any, TypeAlias

from nlp_pipeline.corpus import Record, Reject
from nlp_pipeline.errors.run import RecordsLost
from nlp_pipeline.run_folder.journal import Journal
from nlp_pipeline.run_folder.ledger import ENTRY, Entry, PreviousPart, RetryWhen, Rows
from nlp_pipeline.run_folder.writer import RunFolder
from nlp_pipeline.tables.frames import iter_tables
from nlp_pipeline.tables.schemas import TABLES

Item: TypeAlias = Record | Reject
Load: TypeAlias = Callable[[], Item]
"""Gives the record itself, where it has to be computed."""

_GENERATED = [name for name, schema in TABLES.items() if "output_tokens" in schema.names]


class PartWriter:
    """Takes rows in the order of the corpus and writes them as parts.

    Args:
        folder: The run's folder.
        part_size: Documents in a part.
        retry_when: Which failed documents are tried again.
    """

    def __init__(self, folder: RunFolder, part_size: int, retry_when: RetryWhen) -> None:
        self._folder = folder
        self._size = part_size
        self._retry_when = retry_when
        self._open: deque[_Part] = deque()
        self._position = 0
        self._all_asked = False
        # Records are asked for by a thread that runs ahead of the one that brings the rows.
        self._lock = threading.Lock()

    def wanted(self, records: Iterable[tuple[Entry, Load]]) -> Iterator[Item]:
        """The records that have to be computed; of the others the rows are there.

        Args:
            records: All records from the first, each as it is now.
        """
        for entry, load in records:
            with self._lock:
                is_done = self._take(entry)
            if not is_done:
                yield load()
        with self._lock:
            self._end_of_part()
            self._all_asked = True

    def add(self, rows: Rows) -> tuple[bool, int]:
        """Takes in a computed document; returns whether it failed and its generated tokens."""
        number, offset = divmod(rows["documents"][0]["position"], self._size)
        with self._lock:
            part = next(part for part in self._open if part.number == number)
            figures = part.add(offset, rows)
            self._write_ready()
        return figures

    def finish(self) -> None:
        """Writes what is left; an empty corpus has one part without rows.

        Raises:
            RecordsLost: Not every record was asked for, or some have no rows.
        """
        self._write_ready()
        if not self._all_asked or self._open:
            waiting = sum(part.waiting for part in self._open)
            raise RecordsLost(waiting if self._all_asked else None)
        if not self._folder.receipts:
            part = self._begin(0)
            part.ended = True
            part.write()
        self._folder.recount()

    def close(self) -> None:
        """Lets go of the journals; what lies in them stays."""
        for part in self._open:
            part.journal.close()

    def _take(self, entry: Entry) -> bool:
        """Notes the next record; returns whether its rows are there."""
        if self._position % self._size == 0:
            self._end_of_part()
            self._open.append(self._begin(self._position // self._size))
        self._position += 1
        return self._open[-1].take(entry)

    def _begin(self, number: int) -> _Part:
        is_done = number < len(self._folder.receipts)
        previous = PreviousPart(
            self._folder.path, number, self._size, is_done=is_done, retry_when=self._retry_when
        )
        return _Part(self._folder, number, previous, is_done=is_done)

    def _end_of_part(self) -> None:
        """No further record belongs to the last part."""
        if self._open:
            self._open[-1].ended = True
            if self._open[-1].untouched:
                self._open.pop().journal.discard()
        self._write_ready()

    def _write_ready(self) -> None:
        """Writes parts in their order: a receipt means that all before it are there."""
        while self._open and self._open[0].ended and not self._open[0].waiting:
            self._open[0].write()
            self._open.popleft()


class _Part:
    """A part that is being made, or of which something may have to be made anew."""

    def __init__(
        self, folder: RunFolder, number: int, previous: PreviousPart, *, is_done: bool
    ) -> None:
        self._folder = folder
        self._previous = previous
        self._is_done = is_done
        self._entries: list[Entry] = []
        self._rows: dict[int, Rows] = {}
        self._moved = self._is_cut = False
        self.number = number
        self.journal: Journal = folder.journal(number)
        self.waiting = 0
        self.ended = False

    @property
    def untouched(self) -> bool:
        """Whether every row of the finished part stays as it is."""
        is_same = self._is_done and not (self._rows or self.waiting or self._moved)
        return is_same and len(self._entries) == len(self._previous.ledger)

    def take(self, entry: Entry) -> bool:
        """Takes the next record; returns whether its rows are there."""
        offset = len(self._entries)
        previous = self._previous.find(offset, entry)
        if previous.entry is None:
            self._entries.append(replace(entry, attempt=previous.attempts + 1))
            self.waiting += 1
            return False
        self._entries.append(replace(previous.entry, source=entry.source, line=entry.line))
        if previous.where == "journal":
            self._rows[offset] = self._previous.journal[offset][1]
        self._moved |= self._entries[-1] != previous.entry
        return True

    def add(self, offset: int, rows: Rows) -> tuple[bool, int]:
        """Takes in the rows of a document that was waited for."""
        entry = _outcome(self._entries[offset], rows)
        for error in rows["errors"]:
            error["attempt"] = max(1, entry.attempt)
        if not self._is_cut:
            self.journal.read()  # cuts off what a killed process has left half written
            self._is_cut = True
        self.journal.append({**rows, ENTRY: [asdict(entry)]})
        self._entries[offset], self._rows[offset] = entry, rows
        self.waiting -= 1
        return rows["documents"][0]["status"] != "ok", _tokens(rows)

    def write(self) -> None:
        """Writes the part and removes its journal."""
        old = self._old_rows()
        all_rows: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}
        failed = 0
        for offset, entry in enumerate(self._entries):
            rows = self._rows[offset] if offset in self._rows else old[entry.id]
            _place(rows, entry)
            failed += rows["documents"][0]["status"] != "ok"
            for name in TABLES:
                all_rows[name] += rows.get(name, ())
        figures: dict[str, Any] = {
            "documents": len(self._entries),
            "failed": failed,
            "output_tokens": _tokens(all_rows),
            "ledger": [_short(entry) for entry in self._entries],
        }
        tables = dict(iter_tables(all_rows))
        if self._is_done:
            self._folder.replace(self.number, tables, **figures)
        else:
            self._folder.commit(tables, **figures)
        self.journal.discard()

    def _old_rows(self) -> dict[str, dict[str, list[dict[str, Any]]]]:
        """The rows of the finished part by document, where some of them are taken over."""
        by_document: dict[str, dict[str, list[dict[str, Any]]]] = {}
        if self._is_done and len(self._rows) < len(self._entries):
            for name, table in self._folder.read_part(self.number).items():
                for row in table.to_pylist():
                    tables = by_document.setdefault(row["document_id"], {})
                    tables.setdefault(name, []).append(row)
        return by_document


def _outcome(entry: Entry, rows: Rows) -> Entry:
    """What became of a record, for the ledger."""
    if entry.state == "rejected":
        return replace(entry, attempt=0)
    if rows["documents"][0]["status"] == "ok":
        return replace(entry, state="ok", attempt=0, types=[])
    types = list(dict.fromkeys(error["type"] for error in rows["errors"]))
    return replace(entry, state="failed", types=types)


def _short(entry: Entry) -> Entry:
    """Without what only a failed record is asked for again."""
    return entry if entry.state == "failed" else replace(entry, meta={}, questions=[])


def _place(rows: Rows, entry: Entry) -> None:
    """Says where the record stands now: a line may have been put in front of it."""
    for row in (*rows["documents"], *rows.get("errors", ())):
        row["source"], row["line"] = entry.source, entry.line


def _tokens(rows: Mapping[str, list[dict[str, Any]]]) -> int:
    return sum(row["output_tokens"] or 0 for name in _GENERATED for row in rows.get(name, ()))
