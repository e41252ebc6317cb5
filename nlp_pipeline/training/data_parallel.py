"""A mini-batch over several processes: each computes a share, and the sums are those of all.

The loss of a step is a sum over its answers, divided by their number in all processes. So the sum
of the processes' gradients is the gradient of the whole mini-batch, however uneven the shares are;
a mean of their means would not be.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from nlp_pipeline.generation.distributed.process_group import World
from nlp_pipeline.training.shared_sequences import SharedSequence


def rank_share(sequences: Sequence[SharedSequence], world: World) -> list[SharedSequence]:
    """What this process computes of a mini-batch: the longest first, each to who has least to do.

    Args:
        sequences: The whole mini-batch, the same on every rank.
        world: The processes; some have nothing to do where there are more of them than sequences.
    """
    if world.size == 1:
        return list(sequences)
    n_tokens = [0] * world.size
    share: list[SharedSequence] = []
    for sequence in sorted(sequences, key=lambda s: -s.n_tokens):
        rank = n_tokens.index(min(n_tokens))
        n_tokens[rank] += sequence.n_tokens
        if rank == world.rank:
            share.append(sequence)
    return share


def summed(figures: tuple[float, float], world: World) -> tuple[float, float]:
    """Two figures, added up over the processes."""
    if world.size == 1:
        return figures
    first, second = world.sum(torch.tensor(figures, dtype=torch.float64, device=world.device))
    return float(first), float(second)


def sum_gradients(parameters: Iterable[Tensor], world: World) -> None:
    """Adds up the gradients of the processes, in place: each has those of all afterwards."""
    if world.size == 1:
        return
    for parameter in parameters:
        if parameter.grad is None:  # this process had nothing to compute
            parameter.grad = torch.zeros_like(parameter)
        world.sum(parameter.grad)
