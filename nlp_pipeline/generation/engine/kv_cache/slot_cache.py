"""The KV cache on a CPU: slots of slabs, and prefixes that are copied or read where they are."""

from __future__ import annotations

from nlp_pipeline.generation.engine.attention.packed_batch import PackedBatch
from nlp_pipeline.generation.engine.kv_cache.kv_protocols import PrefixMatch
from nlp_pipeline.generation.engine.kv_cache.slab import Slot
from nlp_pipeline.generation.engine.kv_cache.slot_pool import SlotPool
from nlp_pipeline.generation.engine.scheduled_tokens import ScheduledTokens
from nlp_pipeline.generation.engine.sequence_state import SequenceState
from nlp_pipeline.generation.sequence import Sequence

WORTH_SHARING = 16
"""A common prefix of fewer tokens is computed again rather than waited for and copied."""

WORTH_FOLLOWING = 96
"""One of fewer is copied rather than attended to in a piece of its own."""

PIECE_TOKENS = 256
"""A piece of its own costs a step as much as reading about so many tokens once more.

What another number does shows `python benchmarks/generation.py --ways engine --corpus
corpora/sample.jsonl`: some prompts of its first job share a prefix by twos, of the second by fives.
"""


class SlotCache:
    """A `KVCache` of slots.

    A common prefix is copied, or, where it is long and the pool can, read where it is by all that
    begin with it. A sequence that runs in a slot whose beginning others want to read moves to
    another slot with the rest.

    Args:
        pool: Has the slots.
        max_seq_len: Tokens of prompt and completion together.
        sharing: Whether common prefixes are shared at all.
    """

    def __init__(self, pool: SlotPool, max_seq_len: int, *, sharing: bool) -> None:
        self._pool = pool
        self._max_seq_len = max_seq_len
        self._sharing = sharing

    def match(self, sequence: Sequence) -> PrefixMatch:
        """See `KVCache.match`."""
        if not self._sharing or sequence.params.echo:
            return PrefixMatch()
        return self._pool.find(sequence.prompt_ids[:-1])

    def allocate(
        self,
        sequence: Sequence,
        match: PrefixMatch,
        beams: int,
        running: list[SequenceState],
        waiting: list[Sequence],
    ) -> list[Slot] | None:
        """See `KVCache.allocate`."""
        if match.source is not None:
            self._pool.touch(match.source)
        following = self._following(sequence, match, beams, running, waiting)
        slots = self._with_beams(sequence, following, beams)
        return slots or self._with_beams(sequence, self._copying(sequence, match), beams)

    def release(self, slot: Slot, tokens: list[int]) -> None:
        """See `KVCache.release`."""
        self._pool.release(slot, tokens)

    def pack(self, chunks: list[ScheduledTokens]) -> PackedBatch:
        """See `KVCache.pack`."""
        return PackedBatch(chunks, self._pool.shape)

    def close(self) -> None:
        """See `KVCache.close`."""
        self._pool.drop_all()

    def _with_beams(self, sequence: Sequence, slot: Slot | None, beams: int) -> list[Slot] | None:
        """A slot and one for each further beam, after the same prefix; None if any is missing."""
        slots = [] if slot is None else [slot]
        while 0 < len(slots) < beams:
            further = self._acquire(sequence, slots[0].prefix, slots[0].offset)
            if further is None:
                for slot_of_beam in slots:
                    self._pool.release(slot_of_beam, sequence.prompt_ids)
                return None
            slots.append(further)
        return slots or None

    def _copying(self, sequence: Sequence, match: PrefixMatch) -> Slot | None:
        """A slot for all of the sequence, with a copy of what there is."""
        shared, _, source = match
        prefix = None if source is None else source.prefix
        slot = self._acquire(sequence)
        if slot is None or source is None or shared < WORTH_SHARING:
            return slot
        if source.prefix is prefix:  # nothing of it made way
            slot.copy_from(source, 0, shared)
            slot.computed = shared
        return slot

    def _following(
        self,
        sequence: Sequence,
        match: PrefixMatch,
        beams: int,
        running: list[SequenceState],
        waiting: list[Sequence],
    ) -> Slot | None:
        """A slot for what comes after a common prefix, where that is worth it and there is room."""
        shared, _, source = match
        if source is None or not self._pool.by_reference:
            return None
        prefix, offset = source.prefix or source, source.offset or shared
        if offset < WORTH_FOLLOWING or _is_prefix_of_more(sequence, shared, waiting):
            return None
        others = max(beams - 1, 0) + _others(sequence, prefix, offset, running, waiting)
        if others * offset < PIECE_TOKENS:
            return None
        if prefix.running and not self._split(prefix, offset, running):
            return None
        slot = self._acquire(sequence, prefix, offset)
        if slot is not None and shared > offset and source.prefix is prefix:  # it made no way
            slot.copy_from(source, offset, shared)
            slot.computed = shared
        return slot

    def _split(self, slot: Slot, at: int, running: list[SequenceState]) -> bool:
        """Moves the sequence that runs in a slot out of the way of those that follow it."""
        (state,) = (state for state in running if state.slot is slot)
        suffix = self._pool.split(slot, at, self._need(state.sequence))
        if suffix is None:
            return False
        state.slot = suffix
        return True

    def _acquire(
        self, sequence: Sequence, prefix: Slot | None = None, offset: int = 0
    ) -> Slot | None:
        return self._pool.acquire(sequence.prompt_ids, self._need(sequence), prefix, offset)

    def _need(self, sequence: Sequence) -> int:
        longest = len(sequence.prompt_ids) + sequence.params.max_new_tokens
        return min(longest, self._max_seq_len)


def _others(
    sequence: Sequence,
    prefix: Slot,
    offset: int,
    running: list[SequenceState],
    waiting: list[Sequence],
) -> int:
    """How many other sequences would read the same prefix where it is."""
    ids = sequence.prompt_ids[:offset]
    reading = sum(state.slot is prefix or state.slot.prefix is prefix for state in running)
    return reading + sum(s.prompt_ids[:offset] == ids for s in waiting if s is not sequence)


def _is_prefix_of_more(sequence: Sequence, shared: int, waiting: list[Sequence]) -> bool:
    """Whether others will want to begin with more of the sequence than it shares itself.

    They can read that where it is only if all of it is in one slot.
    """
    more = shared + WORTH_FOLLOWING
    ids = sequence.prompt_ids[:more]
    if len(ids) < more:
        return False
    return any(s.prompt_ids[:more] == ids for s in waiting if s is not sequence)
