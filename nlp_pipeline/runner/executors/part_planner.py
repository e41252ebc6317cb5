"""Which parts of a run there is something to do for, and the parts that can take their places."""

from __future__ import annotations

from collections.abc import Iterator

from nlp_pipeline.run_folder.ledger import RetryWhen, entry_of
from nlp_pipeline.run_folder.part import Part
from nlp_pipeline.run_folder.parts import Casualty, in_parts
from nlp_pipeline.run_folder.receipts import Receipt
from nlp_pipeline.run_folder.writer import RunFolder
from nlp_pipeline.runner.executors.unit import WorkUnit
from nlp_pipeline.runner.records import RecordSource


class PartPlanner:
    """Reads the records once, in their order, and hands out the units that need work.

    Args:
        folder: The run.
        records: All of them.
        part_size: Documents in a part.

    Attributes:
        n_read: Parts that were read.
        n_missing: Records in them that had no rows.
    """

    def __init__(self, folder: RunFolder, records: RecordSource, part_size: int) -> None:
        self._folder = folder
        self._size = part_size
        self._retry_when: RetryWhen = records.retry_when
        self._units = self._read(records)
        self._placeable: set[int] = set()
        self.n_read = self.n_missing = 0

    def next_unit(self) -> WorkUnit | None:
        """The next unit for which there is something to do; None at the end."""
        return next(self._units, None)

    def missing(self, unit: WorkUnit) -> list[int]:
        """The places of the records of a unit that have no rows yet."""
        part = Part(self._folder, unit.number, self._size, retry_when=self._retry_when)
        return [i for i, item in enumerate(unit.items) if not part.take(entry_of(item))]

    def seal(self, receipt: Receipt) -> None:
        """An actor has made a part, which waits for its place."""
        self._folder.sealed[receipt.part] = receipt
        self._placeable.add(receipt.part)
        self.place()

    def place(self) -> None:
        """Puts the parts that wait into their places, as far as those before them are there."""
        for number in sorted(self._placeable):
            if number > len(self._folder.receipts):
                return
            self._folder.place(number)
            self._placeable.discard(number)

    def _read(self, records: RecordSource) -> Iterator[WorkUnit]:
        for unit in in_parts(records.records(self._folder), self._size):
            self.n_read = unit.number + 1
            part = Part(self._folder, unit.number, self._size, retry_when=self._retry_when)
            pairs = list(unit.records)
            for entry, _ in pairs:
                part.take(entry)
            self.n_missing += part.waiting
            if not part.untouched:
                items = (load() for _, load in pairs)
                yield WorkUnit(unit.number, tuple(i for i in items if not isinstance(i, Casualty)))
            elif not self._folder.is_in_place(unit.number):
                self._placeable.add(unit.number)
                self.place()
