"""One part on its way: new, or finished and with something in it to be made anew."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import pyarrow as pa

from nlp_pipeline.run_folder.completions import (
    COMPLETIONS,
    by_digest,
    read_completions,
    write_completions,
)
from nlp_pipeline.run_folder.further_questions import FurtherQuestions
from nlp_pipeline.run_folder.journal import Journal
from nlp_pipeline.run_folder.ledger import (
    ENTRY,
    Entry,
    PreviousPart,
    RetryWhen,
    Rows,
    RunSettings,
)
from nlp_pipeline.tables.frames import iter_tables
from nlp_pipeline.tables.schemas import TABLES

_GENERATED = [name for name, schema in TABLES.items() if "output_tokens" in schema.names]


class PartStore(Protocol):
    """Where parts are written: a run's folder, or a place beside it where they wait."""

    @property
    def path(self) -> Path:
        """The folder of the run that the part belongs to."""
        ...

    @property
    def settings(self) -> RunSettings:
        """With which settings rows are made."""
        ...

    @property
    def further_questions(self) -> FurtherQuestions:
        """What documents are asked beside the pipeline's questions and their own."""
        ...

    def has_part(self, number: int) -> bool:
        """Whether a part is whole already, in its place or waiting for it."""
        ...

    def is_in_place(self, number: int) -> bool:
        """Whether a part has its receipt among those of the run."""
        ...

    def journal(self, part: int) -> Journal:
        """Opens the journal of a part."""
        ...

    def read_part(self, number: int) -> dict[str, pa.Table]:
        """Every table of a part that is whole."""
        ...

    def keep_part(self, number: int) -> None:
        """A whole part stays as it is; it takes its place where it has waited for it."""
        ...

    def write_part(
        self,
        number: int,
        tables: Mapping[str, pa.Table],
        *,
        documents: int,
        failed: int,
        output_tokens: int,
        ledger: Iterable[Entry],
    ) -> None:
        """Writes a part, in place of the one that is there, if there is."""
        ...


class DocumentFacts(NamedTuple):
    """What a run knows of a document beside its record.

    Attributes:
        completions: What it was answered before, by the digest of what was asked.
        questions: What it is asked beside the pipeline's questions and its own.
    """

    completions: Mapping[str, Mapping[str, Any]]
    questions: Sequence[Mapping[str, str]]


class Part:
    """A part that is being made, or of which something may have to be made anew.

    Args:
        store: Where the part is, and where it will be written.
        number: 0-based.
        part_size: Documents in a part.
        retry_when: Which failed documents are tried again.
    """

    def __init__(
        self, store: PartStore, number: int, part_size: int, retry_when: RetryWhen
    ) -> None:
        self._store = store
        self._is_done = store.has_part(number)
        self._previous = PreviousPart(
            store.path,
            number,
            part_size,
            is_done=self._is_done,
            retry_when=retry_when,
            settings=store.settings,
        )
        self._entries: list[Entry] = []
        self._rows: dict[int, Rows] = {}
        self._moved = self._is_cut = False
        self.number = number
        self.journal: Journal = store.journal(number)
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
        entry = self._store.settings.of_now(entry, self._store.further_questions)
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

    def facts(self, offset: int) -> DocumentFacts:
        """What is known of a document that is waited for, whatever the settings were."""
        entry = self._entries[offset]
        completions = list(self._completions.get(entry.id, ()))
        if offset in self._previous.journal:
            completions += self._previous.journal[offset][1].get(COMPLETIONS, ())
        # What could not be read cannot be asked.
        is_reject = entry.state == "rejected"
        questions = [] if is_reject else self._store.further_questions.of(entry.id)
        return DocumentFacts(by_digest(completions), questions)

    @cached_property
    def _completions(self) -> dict[str, list[dict[str, Any]]]:
        """Those of the finished part, by document."""
        return read_completions(self._store.path, self.number) if self._is_done else {}

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
        """Writes the part, where anything of it is new, and removes its journal."""
        if self.untouched:
            self._store.keep_part(self.number)
            self.journal.discard()
            return
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
        write_completions(self._store.path, self.number, self._all_completions())
        self._store.write_part(self.number, dict(iter_tables(all_rows)), **figures)
        self.journal.discard()

    def _all_completions(self) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        """Those of each document, new or as they were."""
        for offset, entry in enumerate(self._entries):
            if offset in self._rows:
                yield entry.id, self._rows[offset].get(COMPLETIONS, [])
            else:
                yield entry.id, self._completions.get(entry.id, [])

    def _old_rows(self) -> dict[str, dict[str, list[dict[str, Any]]]]:
        """The rows of the finished part by document, where some of them are taken over."""
        by_document: dict[str, dict[str, list[dict[str, Any]]]] = {}
        if self._is_done and len(self._rows) < len(self._entries):
            for name, table in self._store.read_part(self.number).items():
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
    """Without what only a failed record is asked for again; its questions stand in no table."""
    return entry if entry.state == "failed" else replace(entry, meta={})


def _place(rows: Rows, entry: Entry) -> None:
    """Says where the record stands now: a line may have been put in front of it."""
    for row in (*rows["documents"], *rows.get("errors", ())):
        row["source"], row["line"] = entry.source, entry.line


def _tokens(rows: Mapping[str, list[dict[str, Any]]]) -> int:
    return sum(row["output_tokens"] or 0 for name in _GENERATED for row in rows.get(name, ()))
