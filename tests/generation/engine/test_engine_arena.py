"""Memory that slabs are cut out of."""

from __future__ import annotations

import random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nlp_pipeline.generation.engine.hf_attention import LayerShape
from nlp_pipeline.generation.engine.kv_cache.arena import Arena
from nlp_pipeline.generation.engine.kv_cache.slot_pool import SlotPool

SHAPE = LayerShape(2, 4, torch.float32, torch.device("cpu"))


@given(st.lists(st.integers(1, 40), max_size=12), st.randoms())
def test_an_arena_gives_out_every_token_once(sizes: list[int], order: random.Random) -> None:
    arena = Arena([SHAPE], 100)
    taken: list[tuple[int, int]] = []
    for size in sizes:
        if arena.largest >= size:
            taken.append((arena.take(size), size))
        else:
            with pytest.raises(MemoryError, match=f"{size} tokens"):
                arena.take(size)
            if taken:
                arena.give_back(*taken.pop(order.randrange(len(taken))))
        owned = [token for start, size in taken for token in range(start, start + size)]
        assert len(owned) == len(set(owned))
        assert all(0 <= token < 100 for token in owned)
    order.shuffle(taken)
    for start, size in taken:
        arena.give_back(start, size)
    assert arena.largest == 100


def test_slabs_are_cut_out_of_the_arena_and_go_back() -> None:
    arena = Arena([SHAPE] * 2, 1024)
    pool = SlotPool([SHAPE] * 2, 1024, spare=2, arena=arena)
    short = [pool.acquire([1], 100) for _ in range(4)]
    assert [slot.capacity for slot in short if slot] == [128] * 4
    addresses = {memory.untyped_storage().data_ptr() for memory in (*arena.keys, *arena.values)}
    for slot in filter(None, short):
        assert {slot.slab.keys[0].untyped_storage().data_ptr()} <= addresses
        pool.release(slot, [1])
    long = pool.acquire([2], 1000)
    assert long is not None
    assert (long.capacity, pool.tokens) == (1024, 1024)
