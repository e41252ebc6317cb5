"""What changes the logits before a draw: the same rules as `transformers`' logits processors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from nlp_pipeline.generation.constraints.mask import BLOCKED, allowed_tokens
from nlp_pipeline.generation.engine.transfer import host_tensor, send
from nlp_pipeline.generation.sequence import Sequence


class Processor(Protocol):
    """Changes the logits of rows that sample alike."""

    def __call__(self, logits: Tensor, sequences: list[Sequence]) -> Tensor:
        """New logits. Shape in and out: (rows, vocabulary); one sequence per row."""
        ...


@dataclass(frozen=True)
class RepetitionPenalty:
    """Divides the positive and multiplies the negative logits of seen tokens (CTRL, 2019)."""

    penalty: float

    def __call__(self, logits: Tensor, sequences: list[Sequence]) -> Tensor:
        """See `Processor`."""
        repeated = host_tensor(tuple(logits.shape), False, torch.bool, logits.device)
        for row, sequence in enumerate(sequences):
            repeated[row, torch.tensor(sequence.prompt_ids + sequence.output_ids)] = True
        less = torch.where(logits > 0, logits / self.penalty, logits * self.penalty)
        return torch.where(send(repeated, logits.device), less, logits)


@dataclass(frozen=True)
class Constrained:
    """Leaves only the tokens that each sequence's constraint allows; one table for all rows."""

    def __call__(self, logits: Tensor, sequences: list[Sequence]) -> Tensor:
        """See `Processor`."""
        width = logits.shape[-1]
        blocked = host_tensor(tuple(logits.shape), False, torch.bool, logits.device)
        for row, sequence in zip(blocked, sequences, strict=True):
            allowed = allowed_tokens(sequence, sequence.output_ids)
            if allowed is not None:
                allowed = allowed[allowed < width]
                if not len(allowed):
                    raise ValueError("the constraint allows no token")
                row.fill_(True)[allowed] = False
        return logits.masked_fill(send(blocked, logits.device), BLOCKED)


@dataclass(frozen=True)
class Temperature:
    """Divides the logits."""

    temperature: float

    def __call__(self, logits: Tensor, sequences: list[Sequence]) -> Tensor:
        """See `Processor`."""
        return logits / self.temperature


@dataclass(frozen=True)
class TopK:
    """Keeps the k likeliest tokens, and those as likely as the last of them."""

    k: int

    def __call__(self, logits: Tensor, sequences: list[Sequence]) -> Tensor:
        """See `Processor`."""
        floor = logits.topk(min(self.k, logits.shape[-1])).values[:, -1:]
        return logits.masked_fill(logits < floor, BLOCKED)


@dataclass(frozen=True)
class TopP:
    """Keeps the likeliest tokens until their probabilities reach p, the last one included."""

    p: float

    def __call__(self, logits: Tensor, sequences: list[Sequence]) -> Tensor:
        """See `Processor`."""
        ordered, ids = logits.sort(descending=True)
        probabilities = ordered.softmax(-1)
        likelier = probabilities.cumsum(-1) - probabilities
        outside = torch.zeros_like(likelier, dtype=torch.bool).scatter(1, ids, likelier >= self.p)
        return logits.masked_fill(outside, BLOCKED)


@dataclass(frozen=True)
class MinP:
    """Keeps the tokens at least this fraction as likely as the likeliest."""

    fraction: float

    def __call__(self, logits: Tensor, sequences: list[Sequence]) -> Tensor:
        """See `Processor`."""
        probabilities = logits.softmax(-1)
        floor = self.fraction * probabilities.amax(-1, keepdim=True)
        return logits.masked_fill(probabilities < floor, BLOCKED)
