"""A unit on which an actor died: tried again alone, then in halves, down to the document at fault.

An actor may die of the document that it had, or because somebody pulled a plug: so a unit is
tried as a whole a few times first. Documents that are done lie in the journal and are no longer
suspected.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from nlp_pipeline.errors.cluster import UnitFailed
from nlp_pipeline.runner.executors.unit import WorkUnit

WHOLE_TRIES = 3
"""Deaths of an actor on a unit before it is halved; where it was too slow, one will do."""

SINGLE_TRIES = 2
"""Deaths on one document, tried by itself, before that is recorded as its error."""

MAX_CRASHES = 100
"""Deaths on one unit, whatever is done, before the run ends."""

Missing = Callable[[WorkUnit], Sequence[int]]
"""Gives the places of the records of a unit that have no rows yet."""


class SuspectUnit:
    """What is known of a unit that may be at fault.

    Args:
        unit: All of it.
        missing: See `Missing`.
    """

    def __init__(self, unit: WorkUnit, missing: Missing) -> None:
        self._unit = unit
        self._missing = missing
        self._crashes = self._whole_crashes = 0
        self._ranges: list[tuple[int, ...]] = []
        self._single_crashes: Counter[int] = Counter()
        self._casualties: dict[int, float | None] = {}

    def next_unit(self) -> WorkUnit:
        """What is tried next, by an actor that has nothing else."""
        if self._ranges:
            return replace(self._unit, offsets=self._ranges[-1])
        return replace(self._unit, casualties=dict(self._casualties))

    def passed(self) -> None:
        """The records of the last try are in the journal."""
        self._ranges.pop()

    def crashed(self, unit: WorkUnit, seconds: float | None, reason: str) -> None:
        """The actor died in the last try.

        Args:
            unit: What it had.
            seconds: The time limit that it was ended by; None where it died by itself.
            reason: For the user.

        Raises:
            UnitFailed: It cannot be told which document is at fault.
        """
        self._crashes += 1
        if unit.offsets is None:
            self._whole_crashes += 1
            suspected = tuple(self._missing(unit))
            # With nothing missing it has only to be written: it was behind one that took too long.
            if self._whole_crashes < WHOLE_TRIES and (seconds is None or not suspected):
                return
        else:
            self._ranges.pop()
            suspected = tuple(sorted(set(unit.offsets) & set(self._missing(unit))))
        suspected = tuple(offset for offset in suspected if offset not in self._casualties)
        if self._crashes >= MAX_CRASHES or (not suspected and unit.offsets is None):
            raise UnitFailed(unit.number, self._crashes, reason)
        self._suspect(suspected, unit, seconds)

    def _suspect(self, offsets: tuple[int, ...], unit: WorkUnit, seconds: float | None) -> None:
        if len(offsets) > 1:
            middle = len(offsets) // 2
            self._ranges += [offsets[middle:], offsets[:middle]]
        elif offsets and unit.offsets == offsets:
            self._single_crashes[offsets[0]] += 1
            if self._single_crashes[offsets[0]] < SINGLE_TRIES and seconds is None:
                self._ranges.append(offsets)
            else:
                self._casualties[offsets[0]] = seconds
        elif offsets:
            self._ranges.append(offsets)
