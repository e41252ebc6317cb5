"""Puts documents into parts: new ones, and finished ones of which something has to be made anew.

The records of the corpus go by in their order; of each it is known whether its rows are there
already, and only the others are computed. A finished part is written anew where any row of it
is: the rows of the other documents are taken from the old part as they are.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple, TypeAlias

from nlp_pipeline.corpus import Record, Reject
from nlp_pipeline.errors import NlpPipelineError
from nlp_pipeline.errors.run import RecordsLost
from nlp_pipeline.run_folder.ledger import Entry, RetryWhen, Rows
from nlp_pipeline.run_folder.part import DocumentFacts, Part, PartStore


@dataclass(frozen=True)
class Casualty:
    """A record that is not annotated, since whoever tries that dies.

    Attributes:
        record: What the corpus says.
        error: What its row says.
    """

    record: Record
    error: NlpPipelineError


Item: TypeAlias = Record | Reject | Casualty
Load: TypeAlias = Callable[[], Item]
"""Gives the record itself, where it has to be computed."""


class PartRecords(NamedTuple):
    """The records of one part: the unit of work, whoever does it.

    Attributes:
        number: 0-based number of the part.
        records: In their order, each as the ledger knows it and a way to have it.
    """

    number: int
    records: Iterable[tuple[Entry, Load]]


def in_parts(records: Iterable[tuple[Entry, Load]], part_size: int) -> Iterator[PartRecords]:
    """All records of a run from the first, part by part; each part is read before the next."""
    positions = groupby(enumerate(records), key=lambda pair: pair[0] // part_size)
    for number, pairs in positions:
        yield PartRecords(number, (record for _, record in pairs))


class PartWriter:
    """Takes rows, nearly in the order of the corpus, and writes them as parts in that order.

    Args:
        store: Where the parts go.
        part_size: Documents in a part.
        retry_when: Which failed documents are tried again.
    """

    def __init__(self, store: PartStore, part_size: int, retry_when: RetryWhen) -> None:
        self._store = store
        self._size = part_size
        self._retry_when = retry_when
        self._open: deque[Part] = deque()
        self._all_asked = False
        # Records are asked for by a thread that runs ahead of the one that brings the rows.
        self._lock = threading.Lock()

    def wanted(self, units: Iterable[PartRecords]) -> Iterator[Item]:
        """The records that have to be computed; of the others the rows are there.

        Args:
            units: The records of each part, as they are now.
        """
        for unit in units:
            with self._lock:
                part = Part(self._store, unit.number, self._size, retry_when=self._retry_when)
                self._open.append(part)
            for entry, load in unit.records:
                with self._lock:
                    is_done = part.take(entry)
                if not is_done:
                    yield load()
            with self._lock:
                part.ended = True
                if part.untouched and self._store.is_in_place(part.number):
                    self._open.pop()  # it waits for nobody
                    part.journal.discard()
                self._write_ready()
        with self._lock:
            self._all_asked = True

    def add(self, rows: Rows) -> tuple[bool, int]:
        """Takes in a computed document; returns whether it failed and its generated tokens."""
        number, offset = divmod(rows["documents"][0]["position"], self._size)
        with self._lock:
            part = next(part for part in self._open if part.number == number)
            figures = part.add(offset, rows)
            self._write_ready()
        return figures

    def facts(self, position: int) -> DocumentFacts:
        """What is known of a document that is being computed."""
        number, offset = divmod(position, self._size)
        with self._lock:
            return next(part for part in self._open if part.number == number).facts(offset)

    def finish(self) -> None:
        """Writes what is left.

        Raises:
            RecordsLost: Not every record was asked for, or some have no rows.
        """
        self._write_ready()
        if not self._all_asked or self._open:
            waiting = sum(part.waiting for part in self._open)
            raise RecordsLost(waiting if self._all_asked else None)

    def close(self) -> None:
        """Lets go of the journals; what lies in them stays."""
        for part in self._open:
            part.journal.close()

    def _write_ready(self) -> None:
        """Writes parts in their order: a receipt means that all before it are there."""
        while self._open and self._open[0].ended and not self._open[0].waiting:
            self._open[0].write()
            self._open.popleft()
