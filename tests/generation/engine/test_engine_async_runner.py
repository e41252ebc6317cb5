"""Asynchronous scheduling: what comes back is what the synchronous engine gives."""

from __future__ import annotations

import random
from collections.abc import Iterator
from collections.abc import Sequence as AnySequence
from contextlib import contextmanager
from functools import cache
from itertools import islice
from typing import Any

import pytest
import torch
from engine_doubles import (
    EOS,
    VOCABULARY,
    finish,
    make_engine,
    reference,
    sequence,
    shareable,
    tiny_model,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from recorder import Recorder, Recording

from nlp_pipeline.errors.generation import GenerationFailed
from nlp_pipeline.generation.sequence import Sequence

pytestmark = pytest.mark.usefixtures("both_caches")

DOCUMENT = random.Random(3).choices(range(VOCABULARY), k=70)
BAD = 291


@cache
def ending() -> list[list[int]]:
    """Prompts that an end-of-sequence token answers, after different numbers of others."""
    candidates = (DOCUMENT[start : start + 19] for start in range(50))
    ends = (ids for ids in candidates if 1 < len(reference(tuple(ids), 7)) < 7)
    return list(islice(ends, 5))


class Alternating:
    """A constraint that reads what came before: even and odd token ids in turn."""

    def allowed(self, output_ids: AnySequence[int]) -> list[int]:
        parity = 0 if not output_ids else 1 - output_ids[-1] % 2
        return list(range(parity, VOCABULARY, 2))


own = st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=20)
prompts = st.tuples(st.integers(0, 60), own).map(lambda pair: [*DOCUMENT[: pair[0]], *pair[1]])
params = st.fixed_dictionaries(
    {"max_new_tokens": st.integers(1, 7)},
    optional={
        "temperature": st.sampled_from([0.7, 1.5]),
        "top_k": st.just(20),
        "repetition_penalty": st.just(1.3),
        "seed": st.integers(0, 5),
        "stop": st.sampled_from([("a",), ("bc", "x")]),
        "logprobs": st.integers(1, 3),
        "echo": st.just(True),
    },
)
requests = st.tuples(
    prompts, params, st.sampled_from([None, "a"]), st.sampled_from([False] * 4 + [True])
)


def run(wanted: list[Any], arrive: int, **options: Any) -> list[Sequence]:
    sequences = []
    for number, (ids, asked, group, constrained) in enumerate(wanted):
        sequences.append(sequence(str(number), ids, group=group, **asked))
        sequences[-1].constraint = Alternating() if constrained else None
    finish(make_engine(**options), sequences, arrive)
    return sequences


@settings(deadline=None, max_examples=40)
@given(
    st.lists(requests, min_size=1, max_size=7),
    st.sampled_from([1, 2, 3, 8]),
    st.sampled_from([5, 40, 512]),
    st.sampled_from([1, 2, 100]),
    st.booleans(),
)
def test_completions_are_those_of_the_synchronous_engine(
    wanted: list[Any], batch: int, chunk: int, arrive: int, recorded: bool
) -> None:
    options: dict[str, Any] = {"max_batch_size": batch, "max_batched_tokens": chunk}
    expected = run(wanted, arrive, **options)
    options |= {"lookahead": True, "capture": Recorder() if recorded else None}
    for ours, theirs in zip(run(wanted, arrive, **options), expected, strict=True):
        assert (ours.error, ours.unread) == (None, 0)
        assert ours.output_ids == theirs.output_ids
        assert ours.finish_reason == theirs.finish_reason
        assert ours.stopped_by_token == theirs.stopped_by_token
        assert ours.logprobs == pytest.approx(theirs.logprobs, abs=1e-9)
        assert ours.prompt_logprobs[:1] == theirs.prompt_logprobs[:1]
        assert ours.prompt_logprobs[1:] == pytest.approx(theirs.prompt_logprobs[1:], abs=1e-9)
        assert [[i for i, _ in row] for row in ours.top] == [
            [i for i, _ in row] for row in theirs.top
        ]


@contextmanager
def counted_steps() -> Iterator[list[int]]:
    """How many tokens went into each forward pass."""
    sizes: list[int] = []
    embedding = tiny_model().get_input_embeddings()
    handle = embedding.register_forward_hook(
        lambda _, inputs, output: sizes.append(inputs[0].numel())
    )
    try:
        yield sizes
    finally:
        handle.remove()


def test_the_next_step_is_launched_before_a_token_is_read() -> None:
    engine = make_engine(lookahead=True, eos=frozenset())
    one = sequence("a", DOCUMENT[:9], max_new_tokens=3)
    engine.add(one)
    known = []
    with counted_steps() as sizes:
        while one.finish_reason is None:
            engine.step()
            known.append((len(sizes), len(one.output_ids)))
    # The last token is known to be the last: no step is launched after it.
    assert known == [(1, 0), (2, 1), (3, 2), (3, 3)]
    assert sizes == [9, 1, 1]


@pytest.mark.parametrize("needs", ["constraint", "penalty"])
def test_a_choice_that_needs_the_tokens_before_it_is_read_at_once(needs: str) -> None:
    engine = make_engine(lookahead=True, eos=frozenset())
    penalty = 1.5 if needs == "penalty" else 1.0
    one = sequence("a", DOCUMENT[:9], max_new_tokens=3, repetition_penalty=penalty)
    one.constraint = Alternating() if needs == "constraint" else None
    free = sequence("b", DOCUMENT[:9], max_new_tokens=8)
    for each in (one, free):
        engine.add(each)
    known = []
    while one.finish_reason is None:
        engine.step()
        known.append((len(one.output_ids), len(free.output_ids)))
    assert known == [(1, 1), (2, 2), (3, 3)]
    engine.step()
    assert (len(free.output_ids), free.unread) == (3, 1)


@pytest.mark.parametrize(
    "asked",
    [
        {"logprobs": 3},
        {"stop": ("zz",), "echo": True},
        {"temperature": 0.8, "top_k": 9, "top_p": 0.9, "min_p": 0.01},
        {"num_beams": 2},
        {"repetition_penalty": 1.3},
        {"constraint": Alternating()},
        {"constraint": Alternating(), "num_beams": 2},
    ],
)
def test_launching_a_step_waits_for_nothing(asked: dict[str, Any]) -> None:
    """No operation is queued whose result the host has to look at."""
    engine = make_engine(lookahead=True, capture=Recorder(), max_batch_size=3)
    params = {key: value for key, value in asked.items() if key != "constraint"}
    sequences = [
        sequence(str(n), DOCUMENT[n : n + 12], max_new_tokens=5, **params) for n in range(6)
    ]
    for one in sequences:
        one.constraint = asked.get("constraint")
    with Recording() as recording:
        finish(engine, sequences)
    assert len(recording.operations) > 500
    assert [one.error for one in sequences] == [None] * 6


def test_an_unforeseen_end_costs_one_token_and_no_more() -> None:
    prompt = ending()[0]
    one = sequence("a", prompt, max_new_tokens=9)
    engine = make_engine(lookahead=True)
    with counted_steps() as sizes:
        finish(engine, [one])
    assert tuple(one.output_ids) == reference(tuple(prompt), 9)
    assert one.output_ids[-1] in EOS
    assert len(sizes) == len(one.output_ids) + 1
    # Nor does the prefix cache hold more than it would otherwise.
    later = sequence("b", [*one.prompt_ids, *one.output_ids, 7], max_new_tokens=1)
    finish(engine, [later])
    assert later.reused_tokens == shareable(len(one.prompt_ids) + len(one.output_ids) - 1)


def test_a_slot_that_was_left_a_step_late_is_clean() -> None:
    """What was computed for nothing lies beyond what the prefix cache gives out."""
    engine = make_engine(lookahead=True, max_batch_size=1)
    for _ in range(2):
        again = [sequence(str(n), DOCUMENT[: 30 + n], max_new_tokens=9) for n in range(6)]
        finish(engine, again)
        for one in again:
            assert tuple(one.output_ids) == reference(tuple(one.prompt_ids), 9)
    assert again[0].reused_tokens == shareable(29)


@pytest.mark.parametrize("finite", [True, False])
@pytest.mark.parametrize("batch", [1, 3, 16])
def test_only_the_culprit_fails(finite: bool, batch: int) -> None:
    def invalidate(_: Any, inputs: tuple[torch.Tensor], output: torch.Tensor) -> torch.Tensor:
        bad = inputs[0] == BAD
        if finite and bad.any():
            raise RuntimeError("the model broke")
        return output.masked_fill(bad[..., None], float("nan"))

    good = [sequence(str(n), [*range(10, 30 + n)], max_new_tokens=5) for n in range(8)]
    culprit = sequence("bad", [*range(10, 30), BAD], max_new_tokens=5)
    handle = tiny_model().get_input_embeddings().register_forward_hook(invalidate)
    try:
        finish(make_engine(lookahead=True, max_batch_size=batch), [*good[:4], culprit, *good[4:]])
    finally:
        handle.remove()
    assert isinstance(culprit.error, GenerationFailed)
    for one in good:
        expected = reference(tuple(one.prompt_ids), 5)
        assert (one.error, tuple(one.output_ids)) == (None, expected)


@pytest.mark.parametrize("delay", range(9))
def test_a_row_that_ended_is_not_tried_again_with_the_culprit(delay: int) -> None:
    """Whenever a step fails: what is on its way is read first, and what ended stays ended."""

    def invalidate(_: Any, inputs: tuple[torch.Tensor], output: torch.Tensor) -> torch.Tensor:
        if (inputs[0] == BAD).any():
            raise RuntimeError("the model broke")
        return output

    good = [sequence(str(n), ids, max_new_tokens=7) for n, ids in enumerate(ending())]
    culprit = sequence("bad", [*range(10, 30), BAD], max_new_tokens=5)
    handle = tiny_model().get_input_embeddings().register_forward_hook(invalidate)
    engine = make_engine(lookahead=True)
    done: list[Sequence] = []
    try:
        for one in good:
            engine.add(one)
        for _ in range(delay):
            done += engine.step()
        engine.add(culprit)
        for _ in range(12):
            done += engine.step()
    finally:
        handle.remove()
    assert len(done) == len(set(done)) == len(good) + 1
    assert isinstance(culprit.error, GenerationFailed)
    for one in good:
        assert (one.error, tuple(one.output_ids)) == (None, reference(tuple(one.prompt_ids), 7))


def test_cancelled_sequences_never_come_back() -> None:
    engine = make_engine(lookahead=True, max_batch_size=4, eos=frozenset())
    gone, kept = (
        [sequence(f"{name}{n}", DOCUMENT[n : n + 9], max_new_tokens=4) for n in range(3)]
        for name in ("gone", "kept")
    )
    for one in [*gone, *kept]:
        engine.add(one)
    for _ in range(2):
        engine.step()
    engine.cancel(gone)
    done: list[Sequence] = []
    for _ in range(20):
        done += engine.step()
    assert set(done) == set(kept)
    again = [sequence(one.request_id, one.prompt_ids, max_new_tokens=4) for one in kept]
    finish(make_engine(eos=frozenset()), again)
    assert [one.output_ids for one in kept] == [one.output_ids for one in again]


@pytest.mark.parametrize("recorded", [False, True])
def test_beams_beside_others(recorded: bool) -> None:
    def search(**options: Any) -> list[Any]:
        sequences = [
            sequence(str(n), DOCUMENT[n : 20 + n], max_new_tokens=3 + n, num_beams=1 + n % 3)
            for n in range(7)
        ]
        finish(make_engine(max_batch_size=5, **options), sequences)
        return [(one.output_ids, one.finish_reason, one.unread) for one in sequences]

    capture = Recorder() if recorded else None
    assert search(lookahead=True, capture=capture) == search()
    assert capture is None or capture.replays
