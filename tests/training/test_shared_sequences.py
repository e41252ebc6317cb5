"""Sequences that share a prefix: the same loss and gradients as each prompt by itself."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from nlp_pipeline.generation.loading.load import LoadedModel
from nlp_pipeline.training.answer_loss import answer_loss, mean_loss
from nlp_pipeline.training.packed_rows import PackedRows, forward_passes
from nlp_pipeline.training.shared_sequences import (
    SharedSequence,
    TrainingExample,
    mini_batches,
    shared_sequences,
)

CPU = torch.device("cpu")


def plain_loss(model: Any, example: TrainingExample) -> torch.Tensor:
    """Of the prompt by itself, as transformers computes its logits: minus the answer's log-prob."""
    ids = torch.tensor([example.prompt_ids + example.target_ids])
    logprobs = model(input_ids=ids).logits[0].log_softmax(-1)
    first = len(example.prompt_ids) - 1
    places = range(first, first + len(example.target_ids))
    loss: torch.Tensor = -logprobs[list(places), list(example.target_ids)].sum()
    return loss


def gradients(model: Any) -> list[torch.Tensor]:
    return [p.grad.clone() for p in model.parameters() if p.grad is not None]


def test_a_prefix_is_computed_once(examples: list[TrainingExample]) -> None:
    first, second, third = shared_sequences(examples, most=8)
    assert len(first.prefix) == 40
    assert first.n_tokens == 40 + sum(4 + n + 1 + n % 3 for n in range(5))
    assert [len(s.examples) for s in (first, second, third)] == [5, 2, 1]
    assert sorted(s.document_id for s in first.examples) == ["d0"] * 5


def test_no_sequence_has_more_branches_than_allowed(examples: list[TrainingExample]) -> None:
    sequences = shared_sequences(examples, most=2)
    assert [len(s.examples) for s in sequences] == [2, 2, 1, 2, 1]
    assert {e for s in sequences for e in s.examples} == set(examples)


def test_prompts_that_share_little_stand_apart() -> None:
    apart = [TrainingExample("d", str(n), (1, 2, *([n] * 20)), (5,)) for n in (7, 8)]
    assert [s.n_tokens for s in shared_sequences(apart, most=8)] == [23, 23]


def test_a_prompt_that_stands_there_twice_keeps_a_token_for_its_answer() -> None:
    twice = [TrainingExample("d", str(n), (1, 2, 3), (n,)) for n in (7, 8)]
    (sequence,) = shared_sequences(twice, most=8)
    assert sequence.prefix == (1, 2)
    assert sequence.branches == [(3, 7), (3, 8)]


@pytest.mark.parametrize("most", [1, 3, 8])
@pytest.mark.parametrize("max_tokens", [64, 4096])
def test_loss_and_gradients_are_those_of_the_prompts_alone(
    loaded: LoadedModel, examples: list[TrainingExample], most: int, max_tokens: int
) -> None:
    model = loaded.model.requires_grad_(True)
    alone = [plain_loss(model, example) for example in examples]
    torch.stack(alone).sum().backward()
    expected = gradients(model)
    model.zero_grad()
    total = 0.0
    for together in forward_passes(shared_sequences(examples, most), max_tokens):
        loss = answer_loss(model, PackedRows.of(together, CPU))
        loss.backward()
        total += float(loss.detach())
    assert total == pytest.approx(sum(loss.item() for loss in alone), rel=1e-5)
    for gradient, right in zip(gradients(model), expected, strict=True):
        # Llama's norms round to float32, whatever the dtype is.
        torch.testing.assert_close(gradient, right, rtol=1e-4, atol=5e-6)


def test_the_mean_loss_is_that_of_a_token(
    loaded: LoadedModel, examples: list[TrainingExample]
) -> None:
    alone = sum(plain_loss(loaded.model, example).item() for example in examples)
    n_tokens = sum(len(example.target_ids) for example in examples)
    mean = mean_loss(loaded.model, shared_sequences(examples, 8), 4096)
    assert mean == pytest.approx(alone / n_tokens, rel=1e-5)


def test_a_pass_holds_what_it_may_and_a_longer_sequence_alone(
    examples: list[TrainingExample],
) -> None:
    sequences = shared_sequences(examples, most=2)
    for rows in forward_passes(sequences, 100):
        padded = len(rows) * max(s.n_tokens for s in rows)
        assert padded <= 100 or len(rows) == 1
    passed = [s for rows in forward_passes(sequences, 100) for s in rows]
    assert sorted(map(id, passed)) == sorted(map(id, sequences))


class TestMiniBatches:
    """Every answer once an epoch, in an order that the seed alone decides."""

    def sequences(self) -> list[SharedSequence]:
        made = [
            TrainingExample(f"d{n}", f"q{q}", (*range(n + 5), 100 + q), (q,))
            for n in range(20)
            for q in range(1 + n % 3)
        ]
        return shared_sequences(made, most=4)

    def test_every_answer_once(self) -> None:
        batches = mini_batches(self.sequences(), 4, seed=1, epoch=0)
        keys = [(e.document_id, e.key) for b in batches for s in b for e in s.examples]
        assert len(keys) == len(set(keys)) == sum(1 + n % 3 for n in range(20))
        sizes = [sum(len(s.examples) for s in batch) for batch in batches]
        assert sum(size >= 4 for size in sizes) >= len(sizes) - 1

    def test_the_seed_and_the_epoch_decide(self) -> None:
        def order(seed: int, epoch: int) -> list[str]:
            batches = mini_batches(self.sequences(), 4, seed, epoch)
            return [s.examples[0].document_id for batch in batches for s in batch]

        assert order(1, 0) == order(1, 0)
        assert len({tuple(order(seed, epoch)) for seed in (1, 2) for epoch in (0, 1)}) == 4

    def test_like_lengths_meet(self) -> None:
        batches = mini_batches(self.sequences(), 4, seed=1, epoch=0)
        spread = [max(s.n_tokens for s in b) - min(s.n_tokens for s in b) for b in batches]
        assert max(spread) <= 6
