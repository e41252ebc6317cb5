"""The driver: hands units to actors, counts their deaths, and puts the parts into their places.

The rows of the tables never come here: an actor writes the files of a part beside its place, and
the driver moves them. It alone writes receipts.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Generator
from typing import Any

from nlp_pipeline.errors.cluster import ActorsMissing, NodeFailed
from nlp_pipeline.errors.run_folder import DiskFull
from nlp_pipeline.run_folder.writer import RunFolder
from nlp_pipeline.runner.computation import DocumentFigures
from nlp_pipeline.runner.executors.actor_pool import ActorPool, ActorSlot, Counts
from nlp_pipeline.runner.executors.executor_base import Report
from nlp_pipeline.runner.executors.part_planner import PartPlanner
from nlp_pipeline.runner.executors.suspects import SuspectUnit
from nlp_pipeline.runner.executors.unit import ActorDescription, UnitOutcome, WorkUnit
from nlp_pipeline.runner.request import RunRequest

WAIT_S = 0.5
"""Seconds between two looks at the actors where none has anything to say."""

REPORT_S = 10.0
"""Seconds between two notes in the manifest of what the nodes do."""

UNITS_AHEAD = 64
"""Parts that may wait, for each actor, behind one that takes long."""

START_TIMEOUT_S = 1800.0
"""What an actor may take to load, and to start again while there is no other."""


class RayDriver:
    """Computes a run with the actors of a pool.

    Args:
        request: The run.
        pool: Its actors, which have loaded.
        folder: Its folder.
        planner: Gives its units.
        welcome: Checks what a restarted actor says that it is.
    """

    def __init__(
        self,
        request: RunRequest,
        pool: ActorPool,
        *,
        folder: RunFolder,
        planner: PartPlanner,
        welcome: Callable[[ActorDescription], None],
    ) -> None:
        self._timeout = request.cluster.unit_timeout
        self._slots = pool.slots
        self._pool = pool
        self._folder = folder
        self._planner = planner
        self._welcome = welcome
        self._suspects: dict[int, SuspectUnit] = {}
        self._to_retry: deque[SuspectUnit] = deque()
        self._node_documents: Counter[str] = Counter()
        self._figures: list[DocumentFigures] = []
        self._n_reported = 0
        self._all_read = False

    def drive(self, report: Report) -> Generator[DocumentFigures, None, None]:
        """Goes on until every part is in its place.

        Yields:
            The figures of documents that are safe, some of them a little later.

        Raises:
            UnitFailed: A part ends every actor.
            ObjectStoreFull: Ray has no room.
            ActorsMissing: No actor is left.
            NodeFailed: An actor met an error that another would meet too.
        """
        started = reported = time.monotonic()
        self._hand_out()
        while not self._all_read or self._to_retry or any(slot.units for slot in self._slots):
            for slot, ref in self._pool.wait(WAIT_S):
                self._take(slot, ref)
            clock = time.monotonic()
            self._watch(clock)
            if clock - reported >= REPORT_S:
                reported = clock
                report(self._nodes(clock - started))
            yield from self._taken_figures()
            self._hand_out()
        for slot in self._slots:
            if slot.description is not None and (counts := self._pool.last_counts(slot)):
                self._count(slot, counts)
        yield from self._taken_figures()
        for _ in range(self._planner.n_missing - self._n_reported):
            # Of an actor that died before it could say what it had done.
            yield DocumentFigures(failed=False, output_tokens=0)
        report(self._nodes(time.monotonic() - started))

    def _hand_out(self) -> None:
        """Gives every actor what it has room for; a suspected unit has an actor to itself."""
        safe = self._folder.documents_done
        for slot in self._slots:
            if self._to_retry and slot.room and not slot.units:
                unit = self._to_retry.popleft().next_unit()
                self._pool.give(slot, unit, safe, alone=True)
        if self._to_retry and not any(slot.alone for slot in self._slots):
            return  # until an actor has nothing else
        # In turns, or the first actor would have all of the last units and another none.
        while free := [slot for slot in self._slots if slot.room > 0]:
            next_unit = self._next_unit()
            if next_unit is None:
                return
            self._pool.give(min(free, key=lambda slot: len(slot.units)), next_unit, safe)

    def _next_unit(self) -> WorkUnit | None:
        n_ahead = self._planner.n_read - len(self._folder.receipts)
        if self._all_read or n_ahead > UNITS_AHEAD * len(self._slots):
            return None
        unit = self._planner.next_unit()
        self._all_read = unit is None
        return unit

    def _take(self, slot: ActorSlot, ref: Any) -> None:
        """Takes in what an actor says: what it is, what it has counted, or an outcome."""
        if ref not in slot.units and ref is not slot.answer:
            return  # it has died since, and was asked anew
        message = self._pool.message(ref, self._folder.documents_done)
        if message is None:
            self._bury(slot, "it ended")
        elif isinstance(message, ActorDescription):
            self._welcome(message)
            slot.begin(message)
        elif isinstance(message, UnitOutcome):
            self._finish(slot, slot.units.pop(ref), message)
        else:
            slot.answer = None
            self._count(slot, message)

    def _finish(self, slot: ActorSlot, unit: WorkUnit, outcome: UnitOutcome) -> None:
        """A unit has come back."""
        slot.moved = time.monotonic()
        slot.alone = False
        if outcome.problem is not None:
            self._raise_if_final(slot, outcome)
            slot.units[unit] = unit
            self._pool.end(slot)
            self._bury(slot, outcome.problem)
        elif outcome.receipt is not None:
            self._suspects.pop(unit.number, None)
            self._planner.seal(outcome.receipt)
        else:
            self._suspects[unit.number].passed()
            self._to_retry.append(self._suspects[unit.number])

    def _raise_if_final(self, slot: ActorSlot, outcome: UnitOutcome) -> None:
        if outcome.exit_code == DiskFull.exit_code:
            raise DiskFull(str(self._folder.path), self._folder.documents_done)
        if outcome.exit_code is not None:
            raise NodeFailed(slot.node, str(outcome.problem))

    def _bury(self, slot: ActorSlot, reason: str, seconds: float | None = None) -> None:
        """An actor has died: what it had is suspected, and it begins anew."""
        units = list(slot.units.values())
        slot.expect_description()
        for unit in units:
            suspect = self._suspects.setdefault(
                unit.number, SuspectUnit(unit, self._planner.missing)
            )
            suspect.crashed(unit, seconds, reason)
            self._to_retry.append(suspect)

    def _watch(self, clock: float) -> None:
        """Asks the actors for their counts, and ends those that finish nothing any more."""
        for slot in self._slots:
            slot.ask(clock)
            if slot.units and clock - slot.moved > self._timeout:
                self._pool.end(slot)
                self._bury(slot, f"nothing was done in {self._timeout:g} seconds", self._timeout)
        n_ready = sum(slot.description is not None for slot in self._slots)
        if not n_ready and clock - max(slot.moved for slot in self._slots) > START_TIMEOUT_S:
            raise ActorsMissing(0, len(self._slots), START_TIMEOUT_S)

    def _count(self, slot: ActorSlot, counts: Counts) -> None:
        """Tells of the documents that an actor has done since it was last asked."""
        n_new, n_failed, n_tokens = (
            new - old for new, old in zip(counts, slot.counts, strict=True)
        )
        slot.counts = counts
        if n_new:
            slot.moved = time.monotonic()
        self._node_documents[slot.node] += n_new
        self._n_reported += n_new
        for i in range(n_new):
            self._figures.append(DocumentFigures(i < n_failed, 0 if i else n_tokens))

    def _taken_figures(self) -> list[DocumentFigures]:
        figures, self._figures = self._figures, []
        return figures

    def _nodes(self, seconds: float) -> dict[str, Any]:
        """What the manifest says of the nodes."""
        rates = {
            node: {"documents": n, "documents_per_second": round(n / max(seconds, 1e-9), 3)}
            for node, n in sorted(self._node_documents.items())
        }
        return {"nodes": rates}
