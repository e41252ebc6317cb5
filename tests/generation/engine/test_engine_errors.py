"""One bad sequence never costs another its answer."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from engine_doubles import (
    BAD,
    CONTEXT,
    Spoiling,
    assert_right,
    finish,
    make_engine,
    not_finite_on_bad,
    sequence,
    token_bytes,
)

from nlp_pipeline.errors.generation import GenerationFailed, PromptTooLong
from nlp_pipeline.generation.engine import Engine
from nlp_pipeline.generation.engine.hf_attention import LayerShape
from nlp_pipeline.generation.engine.kv_cache.slot_cache import SlotCache
from nlp_pipeline.generation.engine.kv_cache.slot_pool import SlotPool
from nlp_pipeline.generation.engine.scheduler import Limits, Scheduler
from nlp_pipeline.generation.sequence import Sequence

pytestmark = pytest.mark.usefixtures("both_caches")


def prompts(count: int) -> list[Sequence]:
    return [
        sequence(str(n), [*range(10, 30 + n), 5 + n], max_new_tokens=5, group="g" * (n % 2))
        for n in range(count)
    ]


def raise_on_bad(ids: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
    if (ids == BAD).any():
        raise RuntimeError("the model\nbroke")
    return output


@pytest.mark.parametrize("size", [CONTEXT, CONTEXT + 7])
def test_a_prompt_that_can_never_fit(size: int) -> None:
    long, good = sequence("long", [5] * size), prompts(2)
    done = finish(make_engine(), [good[0], long, good[1]])
    assert isinstance(long.error, PromptTooLong)
    assert str(size) in str(long.error)
    assert str(CONTEXT) in str(long.error)
    assert len(done) == 3
    assert_right(good)


def test_memory_bounds_the_context() -> None:
    engine = make_engine(kv_cache_tokens=40)
    long, fits = sequence("long", [5] * 40), sequence("fits", [5] * 39, max_new_tokens=9)
    finish(engine, [long, fits])
    assert isinstance(long.error, PromptTooLong)
    assert (fits.error, len(fits.output_ids)) == (None, 1)


@pytest.mark.parametrize("invalidate", [raise_on_bad, not_finite_on_bad])
@pytest.mark.parametrize("batch", [1, 4, 16])
def test_only_the_culprit_fails(invalidate: Any, batch: int) -> None:
    sequences = prompts(9)
    culprit = sequence("bad", [*range(10, 30), BAD], max_new_tokens=5, group="g")
    with Spoiling(invalidate):
        finish(make_engine(max_batch_size=batch), [*sequences[:4], culprit, *sequences[4:]])
    assert isinstance(culprit.error, GenerationFailed)
    assert "\n" not in str(culprit.error)
    assert culprit.finish_reason == "error"
    assert_right(sequences)


@pytest.mark.parametrize("invalidate", [raise_on_bad, not_finite_on_bad])
def test_a_culprit_leaves_nothing_in_its_slot(invalidate: Any) -> None:
    engine = make_engine(max_batch_size=1)
    bad = [sequence(str(n), [*range(50), BAD, *range(50)], max_new_tokens=5) for n in range(3)]
    with Spoiling(invalidate):
        finish(engine, bad)
    assert all(isinstance(one.error, GenerationFailed) for one in bad)
    later = [*prompts(3), sequence("again", [*range(50), 9], max_new_tokens=4)]
    finish(engine, later)
    assert_right(later)


def test_too_much_for_the_memory_is_run_in_halves() -> None:
    def at_most_20(ids: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
        if ids.numel() > 40:
            raise torch.OutOfMemoryError("out of memory")
        return output

    sequences = prompts(8)
    with Spoiling(at_most_20):
        finish(make_engine(prefix_caching=False), sequences)
    assert_right(sequences)


def test_cancelled_sequences_never_come_back() -> None:
    engine = make_engine(max_batch_size=2)
    long = sequence("long", [5] * 500)
    gone, kept = prompts(5), prompts(5)[3:]
    for one in [*gone, long, *kept]:
        engine.add(one)
    done = engine.step()
    engine.cancel([*gone, long])
    while len(done) < 3:
        done += engine.step()
    assert set(done) == {long, *kept}
    assert engine.step() == []
    assert_right(kept)


def test_room_is_bounded_and_comes_back() -> None:
    engine = make_engine(max_batch_size=2)
    room = engine.room
    for one in prompts(room):
        engine.add(one)
    assert engine.room == 0
    engine.step()
    assert engine.room > 0


def test_an_idle_engine_does_nothing() -> None:
    assert make_engine().step() == []


def test_every_place_is_used() -> None:
    """Slots are refilled at once: as many forward passes as the longest lane needs."""
    engine: Engine = make_engine(max_batch_size=2, prefix_caching=False, eos=frozenset())
    budgets = [8, 2, 2, 2, 2]
    sequences = [sequence(str(n), [n + 1] * 5, max_new_tokens=new) for n, new in enumerate(budgets)]
    steps = 0
    for one in sequences:
        engine.add(one)
    while any(one.finish_reason is None for one in sequences):
        engine.step()
        steps += 1
    assert steps == 8


def test_prefill_goes_on_beside_more_decoding_rows_than_the_budget() -> None:
    engine = make_engine(max_batch_size=8, max_batched_tokens=2)
    sequences = prompts(8)
    finish(engine, sequences)
    assert_right(sequences)


def test_no_memory_for_a_slot() -> None:
    """The device has less room than was thought: the sequence fails, the engine goes on."""
    nowhere = LayerShape(2, 2**50, torch.float64, torch.device("cpu"))
    limits = Limits(2, 512, 100, frozenset(), token_bytes)
    pool = SlotPool([nowhere], 4096, spare=2)
    scheduler = Scheduler(limits, SlotCache(pool, 100, sharing=True))
    one = sequence("a", [5] * 20)
    scheduler.add(one)
    assert scheduler.schedule() == []
    assert scheduler.retire() == [one]
    assert isinstance(one.error, GenerationFailed)
