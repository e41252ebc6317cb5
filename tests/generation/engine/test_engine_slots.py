"""Slots come in classes, within the budget, and old prefixes make way."""

from __future__ import annotations

import pytest
import torch

from nlp_pipeline.generation.engine.hf_attention import LayerShape
from nlp_pipeline.generation.engine.kv_cache.memory import kv_tokens_that_fit
from nlp_pipeline.generation.engine.kv_cache.slot_pool import SLAB_TOKENS, SlotPool, capacity_class
from nlp_pipeline.generation.engine.kv_cache.zero_pages import zeros_on_demand

SHAPE = LayerShape(2, 4, torch.float32, torch.device("cpu"))


@pytest.mark.parametrize(
    ("need", "capacity"),
    [(1, 128), (128, 128), (129, 192), (193, 256), (257, 384), (400, 512), (3000, 3072)],
)
def test_capacity_classes(need: int, capacity: int) -> None:
    assert capacity_class(need, 10**6) == capacity


def test_no_capacity_is_over_the_budget() -> None:
    assert capacity_class(260, 300) == 300


def test_neighbouring_rows_are_given_out() -> None:
    pool = SlotPool([SHAPE], 10**5, spare=4)
    slots = [pool.acquire([n], 100) for n in range(8)]
    assert [slot.row for slot in slots if slot] == list(range(8))
    assert len({id(slot.slab) for slot in slots if slot}) == 1
    assert pool.tokens == SLAB_TOKENS


def test_the_budget_holds_and_the_oldest_makes_way() -> None:
    pool = SlotPool([SHAPE], 1024, spare=2)
    first = [pool.acquire([n] * 20, 256) for n in range(4)]
    assert pool.acquire([9], 256) is None
    assert pool.tokens == 1024
    for slot in (first[2], first[0], first[1]):
        assert slot is not None
        slot.computed = 20
        pool.release(slot, slot.tokens)
    assert pool.find([0] * 30)[:2] == (20, 20)
    assert pool.acquire([7], 256) is first[2]
    assert pool.find([2] * 30)[:2] == (0, 0)


def test_an_idle_slab_makes_way_for_a_long_sequence() -> None:
    pool = SlotPool([SHAPE], 1024, spare=2)
    short = pool.acquire([1] * 20, 100)
    assert short is not None
    assert pool.acquire([2], 1000) is None
    pool.release(short, [])
    long = pool.acquire([2], 1000)
    assert long is not None
    assert pool.tokens <= 1024


def test_memory_counts_every_device_by_its_own_layers() -> None:
    few = kv_tokens_that_fit([SHAPE] * 2)
    assert few > 10 * kv_tokens_that_fit([SHAPE] * 200) > 0
    assert SHAPE.bytes_per_token == 2 * 2 * 4 * 4


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_blank_memory_is_zero_and_apart(dtype: torch.dtype) -> None:
    shape = LayerShape(2, 4, dtype, torch.device("cpu"))
    first, second = zeros_on_demand([shape, shape], [(3, 2, 5, 4), (2, 2, 7, 4)])
    assert (first.shape, second.shape, first.dtype) == ((3, 2, 5, 4), (2, 2, 7, 4), dtype)
    first += 1
    assert (second == 0).all()
    assert (first == 1).all()


def test_more_memory_than_there_is() -> None:
    shape = LayerShape(2, 4, torch.float32, torch.device("cpu"))
    with pytest.raises(MemoryError):
        zeros_on_demand([shape], [(2**40, 2**20)])


def test_a_prefix_is_kept_while_it_is_followed_and_given_up_with_its_followers() -> None:
    pool = SlotPool([SHAPE], 512, spare=2)
    first = pool.acquire([1] * 100, 120)
    assert first is not None
    first.slab.memory[0].normal_()
    first.computed = 100
    before = first.slab.memory[0][:, first.row, :, 60:100].clone()
    moved = pool.split(first, 60, 120)
    assert moved is not None
    assert (moved.prefix, moved.offset, moved.computed, moved.running) == (first, 60, 100, True)
    assert (first.tokens, first.computed, first.running, first.busy) == ([1] * 60, 60, False, True)
    assert torch.equal(moved.slab.memory[0][:, moved.row, :, :40], before)
    others = [pool.acquire([n], 128) for n in (2, 3)]
    assert None not in others
    assert pool.acquire([4], 128) is None
    pool.release(moved, [1] * 100)
    assert pool.find([1] * 100)[:2] == (100, 100)
    for slot in filter(None, others):
        pool.release(slot, [])
    assert pool.acquire([5], 512) is not None
    assert pool.find([1] * 100)[:2] == (0, 0)
    assert (moved.prefix, moved.tokens) == (None, [])


def test_a_copy_reads_prefix_and_own_part() -> None:
    pool = SlotPool([SHAPE], 4096, spare=2)
    prefix, target = pool.acquire([1] * 50, 100), pool.acquire([2], 100)
    assert prefix is not None
    assert target is not None
    prefix.slab.memory[0].normal_()
    prefix.computed = 50
    suffix = pool.acquire([1] * 70, 90, prefix, 40)
    assert suffix is not None
    target.copy_from(suffix, 30, 70)
    memory = target.slab.memory[0]
    assert torch.equal(memory[:, target.row, :, 30:40], memory[:, prefix.row, :, 30:40])
    assert torch.equal(memory[:, target.row, :, 40:70], memory[:, suffix.row, :, :30])
