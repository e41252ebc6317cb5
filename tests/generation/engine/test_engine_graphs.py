"""Decode steps that are recorded and replayed: the completions are those of the plain engine."""

from __future__ import annotations

import logging
import random
from typing import Any

import pytest
import torch
from engine_doubles import VOCABULARY, finish, make_engine, reference, sequence, tiny_model
from hypothesis import given, settings
from hypothesis import strategies as st
from recorder import Failing, Recorder

from nlp_pipeline.generation.engine import Engine
from nlp_pipeline.generation.engine.kv_cache.arena import Arena
from nlp_pipeline.generation.engine.kv_cache.slot_pool import SlotPool

DOCUMENT = random.Random(3).choices(range(VOCABULARY), k=200)

own = st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=24)
prompts = st.tuples(st.integers(0, 70), own).map(lambda pair: [*DOCUMENT[: pair[0]], *pair[1]])
requests = st.tuples(prompts, st.integers(1, 7), st.sampled_from([None, "a"]))


@settings(deadline=None, max_examples=25)
@given(
    st.lists(requests, min_size=1, max_size=9),
    st.sampled_from([1, 2, 3, 5, 8]),
    st.sampled_from([5, 40, 512]),
    st.sampled_from([1, 2, 100]),
    st.booleans(),
    st.sampled_from([160, 400, 4096]),
)
def test_ids_are_those_of_transformers(
    wanted: list[tuple[list[int], int, str | None]],
    batch: int,
    chunk: int,
    arrive: int,
    lookahead: bool,
    memory: int,
) -> None:
    engine = make_engine(
        max_batch_size=batch,
        max_batched_tokens=chunk,
        kv_cache_tokens=memory,
        lookahead=lookahead,
        capture=Recorder(),
    )
    sequences = [
        sequence(str(i), ids, max_new_tokens=new, group=group)
        for i, (ids, new, group) in enumerate(wanted)
    ]
    finish(engine, sequences, arrive)
    for one in sequences:
        expected = reference(tuple(one.prompt_ids), one.params.max_new_tokens)
        assert (one.error, tuple(one.output_ids)) == (None, expected)


def lines(*sizes: int, new: int = 6, **params: Any) -> list[Any]:
    return [
        sequence(str(n), DOCUMENT[n : n + size], max_new_tokens=new, **params)
        for n, size in enumerate(sizes)
    ]


def test_steps_are_replayed_and_every_size_is_recorded_once() -> None:
    recorder = Recorder()
    engine = make_engine(capture=recorder, max_batch_size=8, eos=frozenset())
    finish(engine, lines(9, 9, 9, 9, 9))
    # Five tokens after the first: five rows in a graph of eight.
    assert (len(recorder.recordings), recorder.replays) == (1, 5)
    assert len(recorder.recordings[0].operations) > 50
    finish(engine, [*lines(9, 9, new=2), *lines(9, new=4)])
    # Three rows are filled up to four, then one is left.
    assert (len(recorder.recordings), recorder.replays) == (3, 8)
    finish(engine, lines(126))
    # From position 128 on it is a longer context.
    assert (len(recorder.recordings), recorder.replays) == (4, 13)
    finish(engine, [*lines(9, 9, 9), *lines(126)])
    assert len(recorder.recordings) == 5


def test_only_inputs_weights_and_the_arena_are_read() -> None:
    recorder, model = Recorder(), tiny_model()
    engine = make_engine(capture=recorder, max_batch_size=8, eos=frozenset())
    finish(engine, [*lines(30, 20, 40, new=5), *lines(140, 3)])
    held = [*model.parameters(), *model.buffers(), *_arena(engine).keys, *_arena(engine).values]
    known = {tensor.untyped_storage().data_ptr() for tensor in held}
    inputs = {address for r in recorder.recordings for address in r.read_from_outside()} - known
    assert len(recorder.recordings) > 1
    assert len(inputs) == 1  # the same ones in every graph


@pytest.mark.parametrize("lookahead", [False, True])
def test_nothing_but_a_rows_own_past_matters(lookahead: bool) -> None:
    """Whatever lies in the rest of the arena, no row that is one sees it."""
    engine = make_engine(capture=Recorder(), max_batch_size=8, lookahead=lookahead)
    sequences = lines(20, 31, 64, 7, 45)
    for one in sequences:
        engine.add(one)
    engine.step()
    invalid = {slot for slab in _pool(engine)._slabs for slot in slab.slots if not slot.running}
    assert invalid
    for slab in _pool(engine)._slabs:
        for slot in slab.slots:
            first = slot.computed if slot.running else 0
            for memory in (*slab.keys, *slab.values):
                memory[slot.row, :, first:] = float("nan")
    for _ in range(20):
        engine.step()
    for one in sequences:
        assert (one.error, tuple(one.output_ids)) == (None, reference(tuple(one.prompt_ids), 6))


def test_rows_that_are_none_write_to_the_scratch_token_only() -> None:
    engine = make_engine(capture=Recorder(), max_batch_size=8, eos=frozenset())
    sequences = lines(20, 31, 64)
    for one in sequences:
        engine.add(one)
    engine.step()
    arena = _arena(engine)
    before = [layer.clone() for layer in (*arena.keys, *arena.values)]
    slots = [slot for slab in _pool(engine)._slabs for slot in slab.slots if slot.running]
    heads = arena.shape.kv_heads
    own = {
        (slot.slab.start + slot.row * slot.capacity) * heads + head * slot.capacity + slot.computed
        for slot in slots
        for head in range(heads)
    }
    engine.step()
    scratch = {arena.scratch * heads + head for head in range(heads)}
    assert len(own) == 3 * heads
    for was, layer in zip(before, (*arena.keys, *arena.values), strict=True):
        changed = (was != layer).any(-1).nonzero()[:, 0].tolist()
        assert own <= set(changed) <= own | scratch


def test_what_cannot_be_recorded_runs_without(caplog: pytest.LogCaptureFixture) -> None:
    capture = Failing()
    engine = make_engine(capture=capture, max_batch_size=3)
    sequences = lines(9, 20, 31, 42, 53)
    with caplog.at_level(logging.WARNING):
        finish(engine, sequences)
    for one in sequences:
        assert (one.error, tuple(one.output_ids)) == (None, reference(tuple(one.prompt_ids), 6))
    assert capture.attempts == 1
    assert [record.getMessage() for record in caplog.records] == [
        "The decode step of LlamaForCausalLM cannot be recorded as a CUDA graph and runs without, "
        "which is slower (operation not permitted when stream is capturing). cuda_graphs=False "
        "leaves the attempt out."
    ]


def test_a_step_that_waits_for_the_device_is_not_recorded(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def look(_: Any, __: Any, output: torch.Tensor) -> None:
        float(output.sum())

    handle = tiny_model().get_input_embeddings().register_forward_hook(look)
    sequences = lines(9, 20)
    try:
        finish(make_engine(capture=Recorder()), sequences)
    finally:
        handle.remove()
    assert "during a capture" in caplog.text
    for one in sequences:
        assert (one.error, tuple(one.output_ids)) == (None, reference(tuple(one.prompt_ids), 6))


def test_not_finite_rows_fail_alone_within_a_graph() -> None:
    def run(**options: Any) -> list[tuple[list[int], bool]]:
        sequences = lines(*range(9, 25), new=8)
        finish(make_engine(max_batch_size=8, **options), sequences)
        return [(one.output_ids, one.error is not None) for one in sequences]

    good = run()
    common = max(range(VOCABULARY), key=lambda t: sum(t in ids[:4] for ids, _ in good))
    handle = (
        tiny_model()
        .get_input_embeddings()
        .register_forward_hook(
            lambda _, inputs, output: output.masked_fill(
                (inputs[0] == common)[..., None], float("nan")
            )
        )
    )
    try:
        expected, found = run(), run(capture=Recorder(), lookahead=True)
    finally:
        handle.remove()
    assert found == expected
    assert {failed for _, failed in found} == {True, False}


@pytest.mark.parametrize("most", [0, 128, 300])
def test_more_than_can_be_gathered_is_computed_in_place(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("batch", "graphs.decode"):
        monkeypatch.setattr(f"nlp_pipeline.generation.engine.{module}.GATHERED_TOKENS", most)
    recorder = Recorder()
    sequences = lines(9, 20, 31, 42, 53)
    finish(make_engine(capture=recorder, max_batch_size=4), sequences)
    for one in sequences:
        assert (one.error, tuple(one.output_ids)) == (None, reference(tuple(one.prompt_ids), 6))
    assert bool(recorder.replays) == (most > 0)


def _pool(engine: Engine) -> SlotPool:
    return engine._scheduler._pool


def _arena(engine: Engine) -> Arena:
    arena = _pool(engine)._arena
    assert arena is not None
    return arena
