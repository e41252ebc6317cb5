"""Memory for keys and values: slots of fixed capacity on slabs, and which prefixes they hold.

A slab is a tensor per layer of shape (rows, kv_heads, capacity, head_dim), so that neighbouring
rows can be attended to in one call without a copy. Slabs come in capacity classes, are made when
they are needed and dropped when others need their memory. A slot that its sequence has left
keeps its tokens until the slot is needed: that is the prefix cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

from nlp_pipeline.generation.engine.arena import Arena
from nlp_pipeline.generation.engine.attention import LayerShape
from nlp_pipeline.generation.engine.blank import blank
from nlp_pipeline.generation.engine.prefixes import common_prefix

SLAB_TOKENS = 4096
"""A slab holds about so many tokens, and at least one row."""

SMALLEST = 128
"""Capacity of the smallest class."""


class Slab:
    """Rows of one capacity, in every layer.

    Zeros at first, because a masked position still meets its value: zero times NaN is NaN.
    Numbered in the order in which they were made, which is the same in all processes that share
    a model; where they lie in memory is not.

    Args:
        layers: What the layers keep.
        rows: How many.
        capacity: Tokens of a row.
        number: See above.
        arena: Where its memory is cut out; None makes memory of its own.
    """

    def __init__(
        self,
        layers: list[LayerShape],
        rows: int,
        capacity: int,
        number: int = 0,
        arena: Arena | None = None,
    ) -> None:
        self.number = number
        self.start = 0
        if arena is None:
            sizes = [(rows, shape.kv_heads, capacity, shape.head_dim) for shape in layers]
            self.keys, self.values = blank(layers, sizes), blank(layers, sizes)
        else:
            self.start = arena.take(rows * capacity)
            self.keys, self.values = arena.rows(self.start, rows, capacity)
        self.slots = [Slot(self, row, capacity) for row in range(rows)]

    @property
    def tokens(self) -> int:
        """What it takes of the budget."""
        return len(self.slots) * self.slots[0].capacity

    @property
    def idle(self) -> bool:
        """Whether no sequence runs in it."""
        return not any(slot.running for slot in self.slots)

    @property
    def last_used(self) -> int:
        """When one of its slots was last left."""
        return max(slot.last_used for slot in self.slots)


@dataclass(slots=True, eq=False)
class Slot:
    """One row of a slab.

    Attributes:
        slab: Where the keys and values are.
        row: Which row of it.
        capacity: Tokens that fit.
        tokens: Ids whose keys and values are there, or will be when its sequence has got so far.
        computed: How many of them are there.
        reused: How many of them were there before its sequence came, or in another slot.
        running: A sequence is in it.
        last_used: When it was left or copied from; the smallest is taken first.
    """

    slab: Slab
    row: int
    capacity: int
    tokens: list[int] = field(default_factory=list)
    computed: int = 0
    reused: int = 0
    running: bool = False
    last_used: int = 0

    def copy_prefix(self, source: Slot, length: int) -> None:
        """Takes over the first keys and values of another slot."""
        if source is not self:
            for ours, theirs in (
                (self.slab.keys, source.slab.keys),
                (self.slab.values, source.slab.values),
            ):
                for mine, other in zip(ours, theirs, strict=True):
                    mine[self.row, :, :length] = other[source.row, :, :length]
        self.computed = self.reused = length

    def scrub(self) -> None:
        """Forgets everything, numbers that are not finite too."""
        self.tokens, self.computed, self.reused = [], 0, 0
        for memory in (*self.slab.keys, *self.slab.values):
            memory[self.row].zero_()


class SlotPool:
    """Gives out slots within a budget of tokens, and finds prefixes in those that are filled.

    Args:
        layers: What the layers keep.
        budget: Tokens that all slabs together may hold.
        spare: So many left slots are kept for their prefixes before the oldest is taken again,
            although there would be memory for another slab.
        arena: Where all slabs are cut out, if they are; it holds the budget.
    """

    def __init__(
        self, layers: list[LayerShape], budget: int, spare: int, arena: Arena | None = None
    ) -> None:
        self._layers = layers
        self._budget = budget
        self._spare = spare
        self._arena = arena
        self._slabs: list[Slab] = []
        self._clock = count(1)

    @property
    def tokens(self) -> int:
        """What all slabs hold together."""
        return sum(slab.tokens for slab in self._slabs)

    def acquire(self, tokens: list[int], need: int) -> Slot | None:
        """A slot for a sequence of `need` tokens at most, or None where none can be had now.

        Where nothing runs one can always be had, if `need` is within the budget.
        """
        slot = self._choose(capacity_class(need, self._budget))
        if slot is not None:
            slot.tokens, slot.computed, slot.reused, slot.running = tokens, 0, 0, True
        return slot

    def release(self, slot: Slot, tokens: list[int]) -> None:
        """Leaves a slot; its first `computed` tokens may be copied until it is taken again."""
        slot.running = False
        slot.tokens = tokens[: slot.computed]
        self.touch(slot)

    def touch(self, slot: Slot) -> None:
        """Marks a slot as just used."""
        slot.last_used = next(self._clock)

    def best_prefix(self, tokens: list[int]) -> tuple[Slot | None, int, int]:
        """The slot with the longest common prefix that is computed, its length, and the promise.

        The promise is the length that could be had by waiting for a running sequence.
        """
        best, usable, promised = None, 0, 0
        for slot in self._slots():
            common = common_prefix(tokens, slot.tokens)
            promised = max(promised, common)
            if min(common, slot.computed) > usable:
                best, usable = slot, min(common, slot.computed)
        return best, usable, promised

    def _slots(self) -> Iterator[Slot]:
        return (slot for slab in self._slabs for slot in slab.slots)

    def _choose(self, capacity: int) -> Slot | None:
        free = [slot for slot in self._slots() if not slot.running]
        fitting = sorted(
            (slot for slot in free if slot.capacity >= capacity),
            key=lambda slot: (bool(slot.tokens), slot.last_used),
        )
        exact = [slot for slot in fitting if slot.capacity == capacity]
        kept = sum(bool(slot.tokens) for slot in free)
        if exact and (not exact[0].tokens or kept >= self._spare):
            return exact[0]
        return (
            self._on_new_slab(capacity)
            or next(iter(exact + fitting), None)
            or (self._on_new_slab(capacity, drop=True))
        )

    def _on_new_slab(self, capacity: int, *, drop: bool = False) -> Slot | None:
        """The first slot of a new slab; `drop` gives up idle slabs for it, oldest first."""
        if drop:
            for slab in sorted(self._slabs, key=lambda slab: slab.last_used):
                if slab.idle and self._left < capacity:
                    self._drop(slab)
        rows = min(max(SLAB_TOKENS, capacity), self._left) // capacity
        if rows < 1:
            return None
        try:
            slab = Slab(self._layers, rows, capacity, next(self._clock), self._arena)
        except (MemoryError, RuntimeError):  # the budget was an estimate
            return None
        self._slabs.append(slab)
        return self._slabs[-1].slots[0]

    @property
    def _left(self) -> int:
        """Tokens that another slab may take."""
        left = self._budget - self.tokens
        return left if self._arena is None else min(left, self._arena.largest)

    def _drop(self, slab: Slab) -> None:
        self._slabs.remove(slab)
        if self._arena is not None:
            self._arena.give_back(slab.start, slab.tokens)


def capacity_class(need: int, budget: int) -> int:
    """The smallest of 128, 192, 256, 384, 512, … that holds `need`, but never over the budget."""
    capacity = SMALLEST
    while capacity < need:
        if capacity * 3 // 2 >= need:
            capacity = capacity * 3 // 2
        else:
            capacity *= 2
    return min(capacity, max(need, budget))
