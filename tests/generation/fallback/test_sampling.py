from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import (
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from nlp_pipeline.generation.fallback.sampling import (
    TokenSampler,
    advance,
    penalized,
    probabilities,
)
from nlp_pipeline.generation.interface import SamplingParams
from nlp_pipeline.generation.llama import Llama
from nlp_pipeline.generation.sequence import Sequence


def sampler(ids: list[int] | None = None, **params: object) -> TokenSampler:
    sequence = Sequence("a", ids or [0], SamplingParams(**params))  # type: ignore[arg-type]
    return TokenSampler(sequence, frozenset(), lambda token: b"", 99)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    temperature=st.floats(0.1, 5),
    top_k=st.integers(0, 60),
    top_p=st.floats(0.01, 1),
    min_p=st.floats(0, 1),
)
def test_the_distribution_is_that_of_transformers(
    seed: int, temperature: float, top_k: int, top_p: float, min_p: float
) -> None:
    logits = 4 * torch.randn(50, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    params = SamplingParams(temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p)
    warpers: list[Any] = [TemperatureLogitsWarper(temperature)]
    warpers += [TopKLogitsWarper(min(top_k, 50))] if top_k else []
    warpers += [TopPLogitsWarper(top_p)] if top_p < 1 else []
    warpers += [MinPLogitsWarper(min_p)] if min_p else []
    expected = logits[None]
    for warp in warpers:
        expected = warp(None, expected)
    torch.testing.assert_close(probabilities(logits, params), expected[0].softmax(-1))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), penalty=st.floats(0.2, 5))
def test_the_repetition_penalty_is_that_of_transformers(seed: int, penalty: float) -> None:
    logits = torch.randn(50, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    seen = [3, 7, 7, 49, 0]
    process: Any = RepetitionPenaltyLogitsProcessor(penalty)
    expected = process(torch.tensor([seen]), logits[None].clone())[0]
    torch.testing.assert_close(penalized(logits, seen, penalty), expected)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_samples_come_as_often_as_they_should(temperature: float) -> None:
    logits = torch.tensor([2.0, 1.0, 0.0, -1.0])
    expected = (logits / temperature).softmax(-1)
    draws = 2000
    found = Counter(
        sampler(temperature=temperature, seed=seed).choose(logits, 0) for seed in range(draws)
    )
    for token, probability in enumerate(expected.tolist()):
        deviation = (draws * probability * (1 - probability)) ** 0.5
        assert abs(found[token] - draws * probability) < 4 * deviation


def test_masked_tokens_are_never_drawn() -> None:
    logits = torch.tensor([1.0, 1.1, 1.2, 1.3])
    drawn = {sampler(temperature=1.0, top_k=2, seed=s).choose(logits, 0) for s in range(200)}
    assert drawn == {2, 3}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_scores_are_float32_or_better(dtype: torch.dtype) -> None:
    one = sampler(max_new_tokens=2)
    logits = torch.tensor([[1.0, 2.0, 3.0]], dtype=dtype)
    tokens = advance([one], logits)
    assert tokens.tolist() == [2]
    expected = logits.double().log_softmax(-1)[0, 2].item()
    assert one._sequence.logprobs == pytest.approx([expected], abs=1e-6)


def test_rows_that_have_ended_take_no_more_tokens() -> None:
    done, running = sampler(max_new_tokens=1), sampler(max_new_tokens=2)
    for _ in range(2):
        advance([done, running], torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
    assert done._sequence.output_ids == [1]
    assert running._sequence.output_ids == [0, 0]
    assert done._sequence.finish_reason == running._sequence.finish_reason == "length"


class TestSeeds:
    def test_the_same_seed_gives_the_same_samples(self, llama: Llama) -> None:
        one, two = (
            llama.generate(["a", "b"], temperature=3.0, seed=5, max_new_tokens=6) for _ in range(2)
        )
        assert [c.token_ids for c in one] == [c.token_ids for c in two]

    def test_n_samples_are_those_of_the_seeds_that_follow(self, llama: Llama) -> None:
        def ids(seed: int, n: int) -> list[tuple[int, ...]]:
            done = llama.generate(["a"], temperature=3.0, seed=seed, n=n, max_new_tokens=6)
            return [completion.token_ids for completion in done]

        together = ids(seed=5, n=3)
        assert together == ids(5, 1) + ids(6, 1) + ids(7, 1)
        assert len(set(together)) == 3

    def test_greedy_samples_are_all_the_same(self, llama: Llama) -> None:
        done = llama.generate(["a"], n=3, max_new_tokens=6)
        assert [c.sample for c in done] == [0, 1, 2]
        assert len({c.token_ids for c in done}) == 1
