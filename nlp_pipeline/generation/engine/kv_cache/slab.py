"""Memory for keys and values: slabs, and the slots that are their rows.

A slab is a tensor per layer of shape (2, rows, kv_heads, capacity, head_dim), keys before values,
so that neighbouring rows can be attended to in one call without a copy. A slot holds the keys and
values of one sequence: of all its tokens, or of those after a prefix that another slot holds for
several.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from nlp_pipeline.generation.engine.hf_attention import LayerShape
from nlp_pipeline.generation.engine.kv_cache.zero_pages import zeros_on_demand


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

    Attributes:
        memory: Of each layer. Shape (2, rows, kv_heads, capacity, head_dim).
    """

    def __init__(
        self,
        layers: list[LayerShape],
        rows: int,
        capacity: int,
        number: int = 0,
    ) -> None:
        self.number = number
        sizes = [(2, rows, shape.kv_heads, capacity, shape.head_dim) for shape in layers]
        self.memory = zeros_on_demand(layers, sizes)
        self.slots = [Slot(self, row, capacity) for row in range(rows)]

    @property
    def tokens(self) -> int:
        """Tokens of the KV budget that the slab takes."""
        return len(self.slots) * self.slots[0].capacity

    @property
    def idle(self) -> bool:
        """Whether no sequence needs anything in it."""
        return not any(slot.busy for slot in self.slots)

    @property
    def last_used(self) -> int:
        """When one of its slots was last left or shared."""
        return max(slot.last_used for slot in self.slots)


@dataclass(slots=True, eq=False)
class Slot:
    """One row of a slab.

    Positions and numbers of tokens count from the beginning of the sequence, prefix or not.

    Attributes:
        slab: Where the keys and values are.
        row: Which row of it.
        capacity: Tokens that fit.
        tokens: Ids whose keys and values are there, or will be when its sequence has got so far.
        computed: How many of them are there.
        running: A sequence is in it.
        last_used: When it was left or shared; the smallest is taken first.
        prefix: The slot that holds the first `offset` tokens. No sequence runs in it, and it has
            no prefix itself.
        offset: The position that this slot begins with.
        followers: The slots that this one is the prefix of.
        invalid: What it holds may have made a sequence fail.
    """

    slab: Slab
    row: int
    capacity: int
    tokens: list[int] = field(default_factory=list)
    computed: int = 0
    running: bool = False
    last_used: int = 0
    prefix: Slot | None = None
    offset: int = 0
    followers: list[Slot] = field(default_factory=list)
    invalid: bool = False

    @property
    def busy(self) -> bool:
        """Whether a sequence needs what is in it."""
        return self.running or any(slot.running for slot in self.followers)

    @property
    def place(self) -> tuple[int, int]:
        """Where it lies: the same in all processes that share a model."""
        return self.slab.number, self.row

    def share_prefix(self, prefix: Slot, offset: int) -> None:
        """Begins after the first tokens of another slot, which are read there from now on."""
        self.prefix, self.offset = prefix, offset
        prefix.followers.append(self)
        self.computed = offset

    def copy_from(self, source: Slot, start: int, stop: int) -> None:
        """Copies keys and values of some positions from another slot or from its prefix."""
        if source is self:
            return
        if source.prefix is not None and start < source.offset:
            self.copy_from(source.prefix, start, min(stop, source.offset))
            start = source.offset
        if start >= stop:
            return
        own_tokens = slice(start - self.offset, stop - self.offset)
        source_tokens = slice(start - source.offset, stop - source.offset)
        for target, memory in zip(self.slab.memory, source.slab.memory, strict=True):
            target[:, self.row, :, own_tokens] = memory[:, source.row, :, source_tokens]

    def fork(self, parent: Slot) -> None:
        """See `KVSlot.fork`; keys and values of the prompt are copied only the first time."""
        start = max(self.offset, min(self.computed, len(self.tokens)))
        self.copy_from(parent, start, parent.computed)
        self.computed = parent.computed

    def forget(self) -> None:
        """Becomes empty, and so do the slots that follow it; none of them is busy."""
        for slot in list(self.followers):
            slot.forget()
        if self.prefix is not None:
            self.prefix.followers.remove(self)
        self.tokens, self.computed, self.prefix, self.offset = [], 0, None, 0
        self.invalid = False

    def zero(self) -> None:
        """Forgets everything, numbers that are not finite too."""
        self.forget()
        for memory in self.slab.memory:
            memory[:, self.row].zero_()

    def mark_suspect(self) -> None:
        """Scrubs what a failed sequence leaves; its prefix may be what made it fail."""
        prefix = self.prefix
        self.zero()
        if prefix is not None:
            prefix.invalidate()

    def invalidate(self) -> None:
        """Is not to be trusted any more: nobody new gets it, and it is scrubbed when it can be."""
        self.invalid = True
        for slot in (self, *self.followers):
            slot.tokens = []
        self.settle()

    def settle(self) -> None:
        """Scrubs a prefix that is not to be trusted, once no sequence needs it."""
        if self.invalid and not self.busy:
            self.zero()
