"""The loss: how unlikely the model finds the right answers, and nothing else of the prompts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from nlp_pipeline.generation.distributed.process_group import ALONE, World
from nlp_pipeline.training.data_parallel import rank_share, summed
from nlp_pipeline.training.packed_rows import PackedRows, forward_passes
from nlp_pipeline.training.shared_sequences import SharedSequence


def answer_loss(model: Any, rows: PackedRows) -> Tensor:
    """Sum over the answers' tokens of their negative log-probabilities.

    The sum over one answer is minus its log-probability as a whole, its end included: what the
    components compare answers by. Logits are computed at the answers' tokens only.

    Args:
        model: A causal language model of transformers.
        rows: What to compute.

    Returns:
        A scalar.
    """
    parameter = next(model.parameters())
    blocked = torch.zeros(rows.allowed.shape, dtype=parameter.dtype, device=parameter.device)
    # Not -inf: a token that may see nothing would be no number.
    blocked.masked_fill_(~rows.allowed, torch.finfo(parameter.dtype).min)
    states = model.get_decoder()(
        input_ids=rows.ids,
        position_ids=rows.positions,
        attention_mask=blocked,
        use_cache=False,
    ).last_hidden_state[rows.label_rows, rows.label_columns]
    logits = model.get_output_embeddings()(states)
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return torch.nn.functional.cross_entropy(logits, rows.labels, reduction="sum")


def mean_loss(
    model: Any, sequences: Sequence[SharedSequence], max_tokens: int, world: World = ALONE
) -> float:
    """The mean negative log-probability of the answers' tokens, without gradients.

    Args:
        model: A causal language model of transformers.
        sequences: What to compute; several processes share it out.
        max_tokens: Tokens in one forward pass.
        world: The processes, which all get the same.
    """
    total, n_tokens = 0.0, 0.0
    was_training = model.training
    model.eval()
    with torch.no_grad():
        for batch in forward_passes(rank_share(sequences, world), max_tokens):
            rows = PackedRows.of(batch, next(model.parameters()).device)
            total += float(answer_loss(model, rows))
            n_tokens += len(rows.labels)
    model.train(was_training)
    total, n_tokens = summed((total, n_tokens), world)
    return total / n_tokens
