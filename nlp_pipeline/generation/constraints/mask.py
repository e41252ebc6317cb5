"""Logits of the tokens that a constraint allows, all others blocked."""

from __future__ import annotations

from collections.abc import Sequence as SequenceOf

import torch
from torch import Tensor

from nlp_pipeline.generation.sequence import Sequence

BLOCKED = float("-inf")


def allowed_tokens(sequence: Sequence, output_ids: SequenceOf[int]) -> Tensor | None:
    """The ids of what may follow these tokens; None allows all.

    Raises:
        ValueError: Nothing may.
    """
    if sequence.constraint is None:
        return None
    allowed = sequence.constraint.allowed(output_ids)
    if allowed is None:
        return None
    if not isinstance(allowed, Tensor):
        allowed = torch.tensor(list(allowed), dtype=torch.long)
    elif allowed.dtype == torch.bool:
        allowed = allowed.nonzero()[:, 0]
    if not len(allowed):
        raise ValueError("the constraint allows no token")
    return allowed


def constrained(logits: Tensor, sequence: Sequence) -> Tensor:
    """Leaves only the tokens that a sequence's constraint allows next.

    Args:
        logits: Shape (vocabulary,).
        sequence: As far as it is.

    Raises:
        ValueError: It allows none.
    """
    allowed = allowed_tokens(sequence, sequence.output_ids)
    if allowed is None:
        return logits
    ids = allowed[allowed < len(logits)].to(logits.device)
    if not len(ids):
        raise ValueError("the constraint allows no token")
    return torch.full_like(logits, BLOCKED).scatter(0, ids, logits[ids])
