"""Slots come in classes, within the budget, and old prefixes make way."""

from __future__ import annotations

import pytest
import torch

from nlp_pipeline.generation.engine.attention import LayerShape
from nlp_pipeline.generation.engine.memory import kv_tokens_that_fit
from nlp_pipeline.generation.engine.slots import SLAB_TOKENS, SlotPool, capacity_class

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
    assert pool.best_prefix([0] * 30)[1:] == (20, 20)
    assert pool.acquire([7], 256) is first[2]
    assert pool.best_prefix([2] * 30)[1:] == (0, 0)


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
