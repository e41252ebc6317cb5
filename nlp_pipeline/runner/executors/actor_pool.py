"""The actors of a run as its driver sees them: which are ready, and what each of them has."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from nlp_pipeline.errors.cluster import ObjectStoreFull
from nlp_pipeline.runner.executors.placement import ActorPlacement
from nlp_pipeline.runner.executors.unit import ActorDescription, ActorJob, UnitOutcome, WorkUnit

ASK_EVERY_S = 1.0
"""Seconds between two questions to an actor."""

_CALLS = 16
"""Calls that an actor takes at a time: its units, and the questions beside them."""

Counts: TypeAlias = tuple[int, int, int]
"""Documents, failed ones, tokens generated."""


@dataclass(eq=False)
class ActorSlot:
    """One actor; Ray starts it again, perhaps elsewhere, when it dies.

    Attributes:
        handle: Ray's.
        description: What it is; None while it loads.
        answer: Ray's reference to its description, or to its counts; None where it is asked
            nothing.
        units: What it has, by Ray's references to the outcomes.
        alone: Whether it has a suspected unit, and may get no other.
        moved: When it was last seen to finish anything.
        asked_at: When it was last asked.
        counts: What it has done since it loaded.
    """

    handle: Any
    description: ActorDescription | None = None
    answer: Any = None
    units: dict[Any, WorkUnit] = field(default_factory=dict)
    alone: bool = False
    moved: float = field(default_factory=time.monotonic)
    asked_at: float = 0.0
    counts: Counts = (0, 0, 0)
    node: str = "?"

    @property
    def room(self) -> int:
        """How many more units it takes."""
        if self.description is None or self.alone:
            return 0
        return self.description.units - len(self.units)

    def begin(self, description: ActorDescription) -> None:
        """It has loaded."""
        self.description, self.node, self.answer = description, description.node, None
        self.moved = time.monotonic()

    def expect_description(self) -> None:
        """It begins, or begins anew, and will be asked what it is."""
        self.description = self.answer = None
        self.alone = False
        self.units, self.counts = {}, (0, 0, 0)
        self.moved = self.asked_at = time.monotonic()

    def ask(self, clock: float) -> None:
        """Asks what it is or, once that is known, what it has done."""
        if self.answer is not None or clock - self.asked_at < ASK_EVERY_S:
            return
        if self.description is None:
            self.answer = self.handle.description.remote()
        elif self.units:
            self.answer = self.handle.counts.remote()
        self.asked_at = clock

    def give(self, unit: WorkUnit, *, alone: bool = False) -> None:
        """Hands it a unit."""
        if not self.units:
            self.moved = time.monotonic()
        self.alone = alone
        self.units[self.handle.compute.remote(unit)] = unit


@contextmanager
def _object_store_errors(safe: int) -> Iterator[None]:
    """Says that there is no room in place of what Ray says.

    Raises:
        ObjectStoreFull: There is none.
    """
    import ray

    try:
        yield
    except (ray.exceptions.ObjectStoreFullError, ray.exceptions.OutOfDiskError) as error:
        raise ObjectStoreFull(safe) from error


class ActorPool:
    """All actors of a run.

    Args:
        job: What each is made of.
        placement: How many there are, and what each has.
    """

    def __init__(self, job: ActorJob, placement: ActorPlacement) -> None:
        import ray

        from nlp_pipeline.runner.executors.part_actor import PartActor

        # What an actor died of is found out here; Ray alone would try for ever.
        remote: Any = ray.remote  # its types name fewer arguments than it has
        actor_class = remote(
            num_gpus=placement.gpus,
            num_cpus=placement.cpus,
            max_restarts=-1,
            max_task_retries=0,
            max_concurrency=_CALLS,
            scheduling_strategy="SPREAD",
        )(PartActor)
        self.slots = [ActorSlot(actor_class.remote(job)) for _ in range(placement.actors)]

    def wait(self, seconds: float) -> list[tuple[ActorSlot, Any]]:
        """The references that have something to say, after so many seconds at most."""
        import ray

        owners = {ref: slot for slot in self.slots for ref in slot.units}
        owners |= {slot.answer: slot for slot in self.slots if slot.answer is not None}
        if not owners:
            time.sleep(seconds)
            return []
        ready, _ = ray.wait(list(owners), timeout=seconds)
        if ready:
            ready, _ = ray.wait(list(owners), num_returns=len(owners), timeout=0)
        return [(owners[ref], ref) for ref in ready]

    def message(self, ref: Any, safe: int) -> UnitOutcome | ActorDescription | Counts | None:
        """What a reference holds; None where the actor died.

        Args:
            ref: Ray's.
            safe: Documents that are, for the message.

        Raises:
            ObjectStoreFull: Ray has no room.
        """
        import ray

        try:
            with _object_store_errors(safe):
                message: UnitOutcome | ActorDescription | Counts = ray.get(ref)
        except (ray.exceptions.RayActorError, ray.exceptions.WorkerCrashedError):
            return None
        return message

    def give(self, slot: ActorSlot, unit: WorkUnit, safe: int, *, alone: bool = False) -> None:
        """Hands an actor a unit, through Ray's object store.

        Args:
            slot: The actor.
            unit: What it gets.
            safe: Documents that are, for the message.
            alone: Whether it may get no other.

        Raises:
            ObjectStoreFull: Ray has no room.
        """
        with _object_store_errors(safe):
            slot.give(unit, alone=alone)

    def end(self, slot: ActorSlot) -> None:
        """Ends an actor, for Ray to start it again."""
        import ray

        ray.kill(slot.handle, no_restart=False)

    def last_counts(self, slot: ActorSlot) -> Counts | None:
        """What an actor that has nothing more to do has done; None where it does not say."""
        import ray

        try:
            counts: Counts = ray.get(slot.handle.counts.remote(), timeout=ASK_EVERY_S * 4)
        except ray.exceptions.RayError:
            return None
        return counts

    def close(self) -> None:
        """Ends them all. What they have written line by line stays."""
        import ray

        for slot in self.slots:
            ray.kill(slot.handle)
