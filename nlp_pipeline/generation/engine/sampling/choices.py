"""One step's tokens and scores for all rows, in one copy from the device, read when wanted."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nlp_pipeline.generation.engine.sampling.sampler import GREEDY, Sampler
from nlp_pipeline.generation.engine.transfer import HostCopy, upload
from nlp_pipeline.generation.sequence import Sequence


@dataclass(frozen=True, slots=True)
class Choice:
    """The next token of one sequence.

    Attributes:
        token: Its id.
        logprob: In the model's own distribution, unscaled and unmasked; NaN if there is none.
        top: The likeliest alternatives with theirs, as many as the sequence asks for.
    """

    token: int
    logprob: float
    top: list[tuple[int, float]]


class Choices:
    """The choices of one step: on the device at once, on the host when they have come over.

    Attributes:
        tokens: Ids, on the device. Shape: (rows,).
    """

    def __init__(self, tokens: Tensor, table: Tensor, wanted: list[int]) -> None:
        self.tokens = tokens
        self._table = HostCopy(table)
        self._wanted = wanted

    def read(self) -> list[Choice]:
        """One per row. Waits until they are there."""
        rows = self._table.read().tolist()
        return [_choice(row, wanted) for row, wanted in zip(rows, self._wanted, strict=True)]


def choose(logits: Tensor, sequences: list[Sequence], samplers: list[Sampler]) -> Choices:
    """Chooses the next token of every sequence, without waiting for the device.

    Args:
        logits: Shape (rows, vocabulary).
        sequences: One per row.
        samplers: One per row; rows with the same one are treated at once.
    """
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    tokens = logits.argmax(-1)
    for sampler in dict.fromkeys(samplers):
        if sampler is not GREEDY:
            rows = [row for row, other in enumerate(samplers) if other is sampler]
            at = upload(rows, logits.device)
            chosen = sampler.choose(logits[at], tokens[at], [sequences[row] for row in rows])
            tokens[at] = chosen
    total = logits.logsumexp(-1, keepdim=True)
    scores = logits.gather(-1, tokens[:, None]) - total
    wanted = [sequence.params.logprobs for sequence in sequences]
    best = logits.topk(min(max(wanted), logits.shape[-1]))
    # Ids are exact in float32 below 2**24, which no vocabulary reaches.
    columns = (tokens[:, None].to(logits.dtype), scores, best.values - total)
    table = torch.cat([*columns, best.indices.to(logits.dtype)], dim=1)
    return Choices(tokens, table, wanted)


def _choice(row: list[float], wanted: int) -> Choice:
    """Reads a row of the table: token, its score, the top scores, the top ids."""
    half = (len(row) - 2) // 2
    scores, ids = row[2 : 2 + half], row[2 + half :]
    top = [(int(i), score) for i, score in zip(ids[:wanted], scores[:wanted], strict=True)]
    return Choice(int(row[0]), row[1], top)
