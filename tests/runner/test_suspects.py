"""The document that ends its actor is found by halving, whatever else goes wrong meanwhile."""

from __future__ import annotations

import random

import pytest

from nlp_pipeline.corpus import Record
from nlp_pipeline.errors.cluster import UnitFailed
from nlp_pipeline.runner.executors.suspects import SuspectUnit
from nlp_pipeline.runner.executors.unit import WorkUnit


class Journal:
    """What is done of a unit of `size` records, of which some end whoever computes them."""

    def __init__(self, size: int, *poison: int) -> None:
        self.unit = WorkUnit(3, tuple(Record(i, f"d{i}", text="x") for i in range(size)))
        self.poison = set(poison)
        self.done: set[int] = set()
        self.crashes = 0

    def missing(self, unit: WorkUnit) -> list[int]:
        return [i for i in range(len(unit.items)) if i not in self.done]

    def attempt(self, unit: WorkUnit) -> bool:
        """Computes in order until a record ends it; returns whether it came to the end."""
        for offset in self.missing(unit):
            if unit.offsets is not None and offset not in unit.offsets:
                continue
            if offset in self.poison and offset not in unit.casualties:
                self.crashes += 1
                return False
            self.done.add(offset)
        return True


def solve(journal: Journal, *, seconds: float | None = None, plug: float = 0.0) -> WorkUnit:
    """Tries until the unit is whole; returns the last try."""
    suspect, chance = SuspectUnit(journal.unit, journal.missing), random.Random(3)
    suspect.crashed(journal.unit, seconds, "it ended")
    while True:
        unit = suspect.next_unit()
        if chance.random() < plug or not journal.attempt(unit):
            suspect.crashed(unit, seconds, "it ended")
        elif unit.offsets is None:
            return unit
        else:
            suspect.passed()


@pytest.mark.parametrize("poison", [(), (0,), (99,), (41,), (3, 4), (0, 50, 99), tuple(range(5))])
def test_the_culprits_and_nobody_else(poison: tuple[int, ...]) -> None:
    journal = Journal(100, *poison)
    assert set(solve(journal).casualties) == set(poison)
    assert journal.done == set(range(100))


def test_a_bounded_number_of_deaths() -> None:
    journal = Journal(256, 200)
    solve(journal)
    assert journal.crashes <= 3 + 8 + 2


def test_a_plug_that_is_pulled_now_and_then_costs_no_record() -> None:
    for size in (1, 7, 64):
        assert not solve(Journal(size), plug=0.05).casualties


def test_what_goes_on_for_ever_is_waited_for_less_often() -> None:
    journal = Journal(64, 63)
    unit = solve(journal, seconds=600)
    assert dict(unit.casualties) == {63: 600}
    assert journal.crashes <= 2


def test_a_part_of_which_no_record_is_at_fault() -> None:
    journal = Journal(2)
    suspect = SuspectUnit(journal.unit, journal.missing)
    journal.done = {0, 1}  # all is there, and writing the part ends the actor
    for _ in range(2):
        suspect.crashed(suspect.next_unit(), None, "it ended")
    with pytest.raises(UnitFailed, match="Part 3 has ended its actor 3 times"):
        suspect.crashed(suspect.next_unit(), None, "it ended")


def test_a_part_that_was_computed_behind_one_that_never_ends() -> None:
    journal = Journal(2)
    suspect = SuspectUnit(journal.unit, journal.missing)
    journal.done = {0, 1}
    suspect.crashed(journal.unit, 600, "nothing was done")
    assert suspect.next_unit() == journal.unit
