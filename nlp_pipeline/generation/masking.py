"""Logits of the tokens that a constraint allows, all others blocked."""

from __future__ import annotations

import torch
from torch import Tensor

from nlp_pipeline.generation.sequence import Sequence

BLOCKED = float("-inf")


def constrained(logits: Tensor, sequence: Sequence) -> Tensor:
    """Leaves only the tokens that a sequence's constraint allows next.

    Args:
        logits: Shape (vocabulary,).
        sequence: As far as it is.

    Raises:
        ValueError: It allows none.
    """
    if sequence.constraint is None:
        return logits
    allowed = sequence.constraint.allowed(sequence.output_ids)
    if allowed is None:
        return logits
    if isinstance(allowed, Tensor):
        ids = allowed[: len(logits)].nonzero()[:, 0]
    else:
        ids = torch.tensor(list(allowed), dtype=torch.long)
    if not len(ids):
        raise ValueError("the constraint allows no token")
    ids = ids.to(logits.device)
    return torch.full_like(logits, BLOCKED).scatter(0, ids, logits[ids])
