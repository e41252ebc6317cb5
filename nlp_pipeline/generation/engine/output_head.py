"""The output head: logits for the rows that need them, and scores of a prompt's own tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from nlp_pipeline.generation.engine.transfer import upload

SLICE = 1024
"""Vocabulary entries in a slice: its weights stay in the cache for all rows."""

FEW_ROWS = 48
"""Up to so many rows slices are faster than the whole product in float32 on a CPU."""

SCORED_ROWS = 64
"""Logits of so many prompt positions at a time: they are the largest tensor by far."""

Head = Callable[[Tensor], Tensor]
"""Logits, shape (rows, vocabulary), from hidden states of shape (rows, hidden)."""


def head_of(model: Any) -> Head:
    """The model's own head, in slices where that is faster."""
    head: Any = model.get_output_embeddings()
    weight = getattr(head, "weight", None)
    if type(head) is nn.Linear and type(weight) is nn.Parameter and _sliced_pays(weight):
        return SlicedHead(head)
    return head  # type: ignore[no-any-return]


def _sliced_pays(weight: Tensor) -> bool:
    return weight.device.type == "cpu" and weight.dtype == torch.float32


class SlicedHead:
    """A linear head in float32 on the CPU; the same weights, not a copy.

    A slice of the weights is multiplied with all rows while it is in the cache. Every logit is
    still one dot product over the same numbers.
    """

    def __init__(self, head: nn.Linear) -> None:
        self._head = head
        self._weights = head.weight.split(SLICE)
        biases = [None] * len(self._weights) if head.bias is None else head.bias.split(SLICE)
        self._biases = list(biases)

    def __call__(self, hidden_states: Tensor) -> Tensor:
        """See `Head`."""
        if len(hidden_states) > FEW_ROWS:
            whole: Tensor = self._head(hidden_states)
            return whole
        parts = zip(self._weights, self._biases, strict=True)
        return torch.cat([linear(hidden_states, weight, bias) for weight, bias in parts], dim=-1)


def scores_of(head: Head, hidden_states: Tensor, targets: list[int]) -> Tensor:
    """Log-probabilities of given tokens, one after each hidden state. Shape: (rows,).

    Args:
        head: The output head.
        hidden_states: Shape (rows, hidden).
        targets: One per row.
    """
    ids = upload(targets, hidden_states.device)[:, None]
    scores: list[Tensor] = []
    for rows, row_targets in zip(
        hidden_states.split(SCORED_ROWS), ids.split(SCORED_ROWS), strict=True
    ):
        logits = head(rows)
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        scores.append(logits.gather(-1, row_targets.to(logits.device))[:, 0] - logits.logsumexp(-1))
    return torch.cat(scores)
