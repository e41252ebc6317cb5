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
from nlp_pipeline.generation.engine.cuda_graphs import row_buckets
from nlp_pipeline.generation.engine.kv_cache.paged_cache import PagedCache
from nlp_pipeline.generation.engine.kv_cache.pages import PAGE, SCRATCH

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


def test_steps_are_replayed_and_every_number_of_rows_is_recorded_once() -> None:
    recorder = Recorder()
    engine = make_engine(capture=recorder, max_batch_size=8, eos=frozenset())
    finish(engine, lines(9, 9, 9, 9, 9))
    # Graphs of 1, 2, 4 and 8 rows; five tokens after the first one.
    assert (len(recorder.recordings), recorder.replays) == (4, 5)
    assert all(len(recording.operations) > 50 for recording in recorder.recordings)
    finish(engine, [*lines(9, 9, new=2), *lines(9, new=4), *lines(126)])
    assert (len(recorder.recordings), recorder.replays) == (4, 10)


@pytest.mark.parametrize(
    ("most", "buckets"),
    [(1, [1]), (5, [1, 2, 4, 5]), (32, [1, 2, 4, 8, 16, 24, 32])],
)
def test_buckets_reach_up_to_the_largest_step(most: int, buckets: list[int]) -> None:
    assert row_buckets(most) == buckets


def test_buckets_of_many_rows() -> None:
    for most in (64, 100, 128, 160, 256, 300):
        buckets = row_buckets(most)
        assert buckets == sorted(set(buckets))
        assert buckets[-1] == most
        assert len(buckets) < 20


def test_only_inputs_weights_and_pages_are_read() -> None:
    recorder, model = Recorder(), tiny_model()
    engine = make_engine(capture=recorder, max_batch_size=8, eos=frozenset())
    finish(engine, [*lines(30, 20, 40, new=5), *lines(140, 3)])
    cache = _cache(engine)
    known = {
        tensor.untyped_storage().data_ptr()
        for tensor in [
            *model.parameters(), *model.buffers(), *_fused_weights(engine),
            cache.pages.memory, cache.tables.device,
        ]
    }  # fmt: skip
    inputs = [recording.read_from_outside() - known for recording in recorder.recordings]
    assert len(recorder.recordings) == 4
    # Numbers of the step and tokens of the last one, the same in every graph; and its own table.
    assert len(set.intersection(*inputs)) == 2
    assert {len(addresses) for addresses in inputs} == {3}


@pytest.mark.parametrize("lookahead", [False, True])
def test_nothing_but_a_rows_own_past_matters(lookahead: bool) -> None:
    """Whatever lies in pages that nobody has, or beyond what is computed, no row sees it."""
    engine = make_engine(capture=Recorder(), max_batch_size=8, lookahead=lookahead)
    sequences = lines(20, 31, 64, 7, 45)
    for one in sequences:
        engine.add(one)
    engine.step()
    cache = _cache(engine)
    computed = torch.zeros(cache.pages.count + 1, PAGE, dtype=torch.bool)
    for row in engine._scheduler._running:
        for position in range(row.computed):
            computed[row.slot.pages[position // PAGE], position % PAGE] = True
    cache.pages.memory.masked_fill_(~computed[None, None, :, None, :, None], float("nan"))
    for _ in range(20):
        engine.step()
    for one in sequences:
        assert (one.error, tuple(one.output_ids)) == (None, reference(tuple(one.prompt_ids), 6))


def test_rows_that_are_none_write_to_the_scratch_page_only() -> None:
    engine = make_engine(capture=Recorder(), max_batch_size=8, eos=frozenset())
    for one in lines(20, 31, 64):
        engine.add(one)
    engine.step()
    memory = _cache(engine).pages.memory
    own = {
        (row.slot.pages[row.computed // PAGE], row.computed % PAGE)
        for row in engine._scheduler._running
    }
    for page_id, place in own:
        memory[:, :, page_id, :, place] = float("nan")
    before = memory.clone()
    engine.step()
    different = ~((before == memory) | (before.isnan() & memory.isnan()))
    changed = {tuple(place) for place in different.any(5).any(3).any(1).any(0).nonzero().tolist()}
    assert len(own) == 3
    assert own <= changed <= own | {(SCRATCH, 0)}


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
        "The decode step cannot be recorded as a CUDA graph and runs without, which is slower "
        "(operation not permitted when stream is capturing). cuda_graphs=False leaves the attempt "
        "out."
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


def _cache(engine: Engine) -> PagedCache:
    cache = engine._cache
    assert isinstance(cache, PagedCache)
    return cache


def _fused_weights(engine: Engine) -> list[torch.Tensor]:
    decoder: Any = engine._runner._decoder  # type: ignore[union-attr]
    return [weight for layer in decoder._layers for weight in (layer.qkv, layer.gate_up)]
