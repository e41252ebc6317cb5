"""Samples have transformers' distributions, and depend on the request alone."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence as AnySequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from engine_doubles import VOCABULARY, finish, logits_after, make_engine, sequence
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import (
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from nlp_pipeline.generation.engine.sampling.choices import choose, likeliest
from nlp_pipeline.generation.engine.sampling.draws import uniform
from nlp_pipeline.generation.engine.sampling.sampler import GREEDY, sampler_for

pytestmark = pytest.mark.usefixtures("both_caches")

PROMPT = [7, 7, 21, 40, 8]
DRAWS = 4000

CASES: list[tuple[dict[str, Any], list[Any]]] = [
    ({"temperature": 1.0}, []),
    ({"temperature": 0.4}, [TemperatureLogitsWarper(0.4)]),
    ({"temperature": 1.3, "top_k": 5}, [TemperatureLogitsWarper(1.3), TopKLogitsWarper(5)]),
    ({"temperature": 1.0, "top_p": 0.6}, [TopPLogitsWarper(0.6)]),
    ({"temperature": 1.0, "min_p": 0.2}, [MinPLogitsWarper(0.2)]),
    (
        {"temperature": 1.0, "repetition_penalty": 1.7},
        [RepetitionPenaltyLogitsProcessor(1.7)],
    ),
    (
        {"temperature": 0.8, "repetition_penalty": 1.2, "top_k": 40, "top_p": 0.9, "min_p": 0.02},
        [
            RepetitionPenaltyLogitsProcessor(1.2),
            TemperatureLogitsWarper(0.8),
            TopKLogitsWarper(40),
            TopPLogitsWarper(0.9),
            MinPLogitsWarper(0.02),
        ],
    ),
]


@pytest.mark.parametrize(("params", "processors"), CASES)
def test_distribution_is_that_of_transformers(
    params: dict[str, Any], processors: list[Any]
) -> None:
    """Chi-square of 4,000 draws; every token outside the distribution is a failure at once."""
    logits = logits_after(PROMPT)[-1:].clone() * 1.5
    warped = LogitsProcessorList(processors)(torch.LongTensor([PROMPT]), logits.clone())  # type: ignore[arg-type]
    expected = warped.softmax(-1)[0]
    sequences = [sequence("a", PROMPT, seed=seed, **params) for seed in range(DRAWS)]
    states: list[Any] = [SimpleNamespace(sequence=s, sampler=sampler_for(s)) for s in sequences]
    chosen = choose(logits.expand(DRAWS, -1), states).read()
    counts = torch.zeros(VOCABULARY, dtype=torch.float64)
    for token, count in Counter(choice.token for choice in chosen).items():
        counts[token] = count
    assert not counts[expected == 0].any()
    common = expected * DRAWS >= 5
    observed = torch.cat([counts[common], counts[~common].sum()[None]])
    wanted = torch.cat([expected[common], expected[~common].sum()[None]]) * DRAWS
    kept = wanted > 0
    statistic = ((observed - wanted)[kept] ** 2 / wanted[kept]).sum()
    freedom = int(kept.sum()) - 1
    assert statistic < freedom + 5 * (2 * freedom + 1) ** 0.5


@pytest.mark.parametrize("params", [case[0] for case in CASES])
def test_a_sample_does_not_depend_on_its_company(params: dict[str, Any]) -> None:
    def run(count: int, batch: int, reverse: bool) -> dict[str, list[int]]:
        sequences = [
            sequence(str(i), [*PROMPT, i], seed=40 + i, max_new_tokens=6, **params)
            for i in range(count)
        ]
        sequences += [sequence(f"greedy {i}", [*PROMPT, i], max_new_tokens=3) for i in range(3)]
        order = sequences[::-1] if reverse else sequences
        finish(make_engine(max_batch_size=batch, eos=frozenset()), order)
        return {one.request_id: one.output_ids for one in sequences}

    many = run(6, 5, reverse=False)
    assert many == run(6, 16, reverse=True)
    assert run(1, 1, reverse=False).items() <= many.items()
    assert len({tuple(many[str(i)]) for i in range(6)}) > 1


def test_samples_of_a_request_differ_and_seeds_add() -> None:
    def sample(seed: int, number: int) -> list[int]:
        one = sequence("a", PROMPT, seed=seed, temperature=1.5, max_new_tokens=8)
        one.sample = number
        finish(make_engine(eos=frozenset()), [one])
        return one.output_ids

    assert sample(3, 0) != sample(3, 1) == sample(4, 0)


def test_greedy_with_a_penalty_takes_the_likeliest_of_what_is_left() -> None:
    one = sequence("a", PROMPT, repetition_penalty=1e9, max_new_tokens=12)
    finish(make_engine(eos=frozenset()), [one])
    assert len({*PROMPT, *one.output_ids}) == len(set(PROMPT)) + 12


def test_requests_that_sample_alike_share_a_recipe() -> None:
    pair = [sequence(str(i), PROMPT, temperature=0.7, seed=i) for i in range(2)]
    assert sampler_for(pair[0]) is sampler_for(pair[1]) is not GREEDY
    assert sampler_for(sequence("a", PROMPT, top_p=0.5, top_k=3)) is GREEDY


def test_noise_is_uniform_and_independent() -> None:
    numbers = torch.tensor([[uniform(seed, i) for i in range(64)] for seed in range(64)])
    assert numbers.min() >= 0
    assert numbers.max() < 1
    assert torch.histc(numbers, 16, 0, 1).sub(256).abs().max() < 5 * 256**0.5
    centred = numbers - 0.5
    for neighbours in (centred[1:] * centred[:-1], centred[:, 1:] * centred[:, :-1]):
        assert neighbours.mean().abs() < 5 / 12 / neighbours.numel() ** 0.5


class OnlyThese:
    """A constraint: these tokens, then anything."""

    def __init__(self, *steps: AnySequence[int]) -> None:
        self.steps = steps

    def allowed(self, output_ids: AnySequence[int]) -> AnySequence[int] | None:
        return self.steps[len(output_ids)] if len(output_ids) < len(self.steps) else None


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_constraint_is_obeyed_and_scores_are_the_models_own(temperature: float) -> None:
    one = sequence("a", PROMPT, max_new_tokens=4, temperature=temperature)
    one.constraint = OnlyThese([31], [32, 33])
    free = sequence("b", PROMPT, max_new_tokens=4, temperature=temperature)
    finish(make_engine(eos=frozenset()), [one, free])
    assert one.output_ids[0] == 31
    assert one.output_ids[1] in (32, 33)
    assert len(one.output_ids) == len(free.output_ids) == 4
    own = logits_after(PROMPT)[-1].log_softmax(-1)
    assert one.logprobs[0] == pytest.approx(own[31].item())


def test_a_constraint_that_allows_nothing_fails_alone() -> None:
    one, other = (sequence(name, PROMPT, max_new_tokens=2) for name in "ab")
    one.constraint = OnlyThese([31], [])
    finish(make_engine(eos=frozenset()), [one, other])
    assert "allows no token" in str(one.error)
    assert (other.error, len(other.output_ids)) == (None, 2)


@settings(deadline=None)
@given(
    st.sampled_from([7, 16, 48, 128, 640, 1000, 1002]),
    st.lists(st.sampled_from([-math.inf, -1.0, 0.0, 2.0, math.inf, math.nan]), max_size=30),
    st.integers(1, 3),
)
def test_the_likeliest_is_the_first_of_the_highest(
    vocabulary: int, marks: list[float], rows: int
) -> None:
    logits = torch.full((rows, vocabulary), -2.0)
    generator = random.Random(vocabulary + len(marks))
    for mark in marks:
        logits[generator.randrange(rows), generator.randrange(vocabulary)] = mark
    assert torch.equal(likeliest(logits), logits.argmax(-1))
