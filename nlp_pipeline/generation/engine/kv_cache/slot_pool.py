"""Which slot a sequence gets, within a budget of tokens, and which prefixes the slots hold.

Slabs come in capacity classes, are made when they are needed and dropped when others need their
memory. A slot that its sequence has left keeps its tokens until the slot is needed: that is the
prefix cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from nlp_pipeline.generation.engine.hf_attention import LayerShape
from nlp_pipeline.generation.engine.kv_cache.common_prefix import common_prefix
from nlp_pipeline.generation.engine.kv_cache.kv_protocols import PrefixMatch
from nlp_pipeline.generation.engine.kv_cache.slab import Slab, Slot

SLAB_TOKENS = 4096
"""A slab holds about so many tokens, and at least one row."""

SMALLEST = 128
"""Capacity of the smallest class."""


class SlotPool:
    """Gives out slots within a budget of tokens, and finds prefixes in those that are filled.

    Args:
        layers: What the layers keep.
        budget: Tokens that all slabs together may hold.
        spare: So many left slots are kept for their prefixes before the oldest is taken again,
            although there would be memory for another slab.

    Attributes:
        by_reference: Whether sequences may read a common prefix where it is, rather than copy
            it: on a CPU. Elsewhere the attention to two pieces was not measured.
        shape: What the first layer keeps.
    """

    def __init__(self, layers: list[LayerShape], budget: int, spare: int) -> None:
        self.by_reference = all(shape.device.type == "cpu" for shape in layers)
        self.shape = layers[0]
        self._layers = layers
        self._budget = budget
        self._spare = spare
        self._slabs: list[Slab] = []
        self._clock = count(1)

    @property
    def tokens(self) -> int:
        """Tokens of the KV budget that all slabs take together."""
        return sum(slab.tokens for slab in self._slabs)

    def acquire(
        self, tokens: list[int], need: int, prefix: Slot | None = None, offset: int = 0
    ) -> Slot | None:
        """A slot for a sequence, or None where none can be had now.

        Where nothing runs one without a prefix can always be had, if `need` is within the budget.

        Args:
            tokens: Of its prompt.
            need: Of prompt and completion, at most.
            prefix: The slot that goes on holding the first tokens.
            offset: How many.
        """
        capacity = capacity_class(need - offset, self._budget)
        slot = self._choose(capacity, prefix)
        if slot is not None:
            slot.forget()
            slot.tokens, slot.running = tokens, True
            if prefix is not None:
                slot.share_prefix(prefix, offset)
        return slot

    def split(self, slot: Slot, at: int, need: int) -> Slot | None:
        """Makes a prefix of a slot in which a sequence runs.

        Args:
            slot: Without a prefix.
            at: Its first tokens that others want to begin with.
            need: Of the sequence's prompt and completion, at most.

        Returns:
            Where the sequence goes on; None where there is no room for that.
        """
        suffix = self.acquire(slot.tokens, need, slot, at)
        if suffix is not None:
            suffix.copy_from(slot, at, slot.computed)
            suffix.computed = slot.computed
            slot.tokens, slot.computed, slot.running = slot.tokens[:at], at, False
        return suffix

    def release(self, slot: Slot, tokens: list[int]) -> None:
        """Leaves a slot; its first `computed` tokens may be shared until it is taken again."""
        slot.running = False
        slot.tokens = tokens[: slot.computed]
        self.touch(slot)
        if slot.prefix is not None and slot.prefix.invalid:
            slot.tokens = []
            slot.prefix.settle()

    def touch(self, slot: Slot) -> None:
        """Marks a slot and its prefix as just used."""
        for used in (slot, slot.prefix):
            if used is not None:
                used.last_used = next(self._clock)

    def drop_all(self) -> None:
        """Gives all memory back; no sequence may run."""
        self._slabs.clear()

    def find(self, tokens: list[int]) -> PrefixMatch:
        """What can be shared of a prompt; of slots that hold the same, one without a prefix."""
        best, usable, promised = None, 0, 0
        for slot in sorted(self._slots(), key=lambda slot: slot.prefix is not None):
            common = common_prefix(tokens, slot.tokens)
            promised = max(promised, common)
            if min(common, slot.computed) > usable:
                best, usable = slot, min(common, slot.computed)
        return PrefixMatch(usable, promised, best)

    def _slots(self) -> Iterator[Slot]:
        return (slot for slab in self._slabs for slot in slab.slots)

    def _choose(self, capacity: int, prefix: Slot | None) -> Slot | None:
        """A slot that is not busy.

        One after a prefix is small and soon taken again: a new slab is not made to keep it, so
        that those which run are neighbours.
        """
        free = [slot for slot in self._slots() if not slot.busy and slot is not prefix]
        fitting = sorted(
            (slot for slot in free if slot.capacity >= capacity),
            key=lambda slot: (bool(slot.tokens), slot.last_used),
        )
        exact = [slot for slot in fitting if slot.capacity == capacity]
        cached = sum(bool(slot.tokens) for slot in free)
        if exact and (not exact[0].tokens or cached >= self._spare or prefix is not None):
            return exact[0]
        return (
            self._on_new_slab(capacity)
            or next(iter(exact + fitting), None)
            or self._on_new_slab(capacity, keep=prefix, drop=True)
        )

    def _on_new_slab(
        self, capacity: int, *, keep: Slot | None = None, drop: bool = False
    ) -> Slot | None:
        """The first slot of a new slab; `drop` gives up idle slabs for it, oldest first."""
        if drop:
            for slab in sorted(self._slabs, key=lambda slab: slab.last_used):
                needed = not slab.idle or (keep is not None and keep.slab is slab)
                if not needed and self._free_tokens < capacity:
                    self._drop(slab)
        rows = min(max(SLAB_TOKENS, capacity), self._free_tokens) // capacity
        if rows < 1:
            return None
        try:
            slab = Slab(self._layers, rows, capacity, number=next(self._clock))
        except (MemoryError, RuntimeError):  # the budget was an estimate
            return None
        self._slabs.append(slab)
        return self._slabs[-1].slots[0]

    @property
    def _free_tokens(self) -> int:
        """Tokens that another slab may take."""
        return self._budget - self.tokens

    def _drop(self, slab: Slab) -> None:
        for slot in slab.slots:
            slot.forget()
        self._slabs.remove(slab)


def capacity_class(need: int, budget: int) -> int:
    """The smallest of 128, 192, 256, 384, 512, … that holds `need`, but never over the budget."""
    capacity = SMALLEST
    while capacity < need:
        if capacity * 3 // 2 >= need:
            capacity = capacity * 3 // 2
        else:
            capacity *= 2
    return min(capacity, max(need, budget))
