"""What earlier processes have done of a part, and whether it still holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from nlp_pipeline.runs.journal import journaled
from nlp_pipeline.runs.ledger import Entry, read_ledger

Again = Callable[[Entry], bool]
"""Whether a document that failed is to be tried again."""
Rows = Mapping[str, list[dict[str, Any]]]
ENTRY = "ledger"
"""The name under which a document's ledger entry lies in its line of the journal."""


class Kept(NamedTuple):
    """What is known of a record: where its rows lie, or how often it was tried in vain."""

    where: Literal["journal", "part", "nowhere"]
    entry: Entry | None = None
    attempts: int = 0


class Earlier:
    """A part as earlier processes have left it: its ledger and its journal.

    Args:
        run: The run's folder.
        number: Of the part.
        part_size: Documents in a part.
        done: Whether the part has a receipt.
        again: Which failed documents do not count.
    """

    def __init__(self, run: Path, number: int, part_size: int, *, done: bool, again: Again) -> None:
        self.ledger = read_ledger(run, number) if done else []
        self.journal: dict[int, tuple[Entry, Rows]] = {}
        self._again = again
        for line in journaled(run, number):
            rows = dict(line)
            (entry,) = rows.pop(ENTRY)
            # A later line of the same document holds: it was tried again.
            offset = rows["documents"][0]["position"] - number * part_size
            self.journal[offset] = Entry(**entry), rows

    def known(self, offset: int) -> Entry | None:
        """The record as it was, whatever became of it."""
        if offset in self.journal:
            return self.journal[offset][0]
        return self.ledger[offset] if offset < len(self.ledger) else None

    def find(self, offset: int, entry: Entry) -> Kept:
        """Where the rows of a record lie that is as it was, if they still count.

        Args:
            offset: Place of the record in the part.
            entry: The record as it is now.
        """
        attempts = 0
        if offset in self.journal:
            found = self.journal[offset][0]
            if found.digest == entry.digest:
                if not self._again(found):
                    return Kept("journal", found)
                attempts = found.attempt
        if offset < len(self.ledger):
            found = self.ledger[offset]
            if found.digest == entry.digest:
                if not self._again(found):
                    return Kept("part", found)
                attempts = max(attempts, found.attempt)
        return Kept("nowhere", attempts=attempts)


def failed_ones(entry: Entry) -> bool:
    """A resumed run tries again whatever failed; a record that cannot be read stays so."""
    return entry.state == "failed"


def none(_: Entry) -> bool:
    """With `--no-retry` what failed stays."""
    return False
