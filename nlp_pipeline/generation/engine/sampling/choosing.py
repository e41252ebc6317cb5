"""One step's tokens and scores for all rows, in one copy from the device."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nlp_pipeline.generation.engine.sampling.recipe import GREEDY, Recipe
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


def choose(logits: Tensor, sequences: list[Sequence], recipes: list[Recipe]) -> list[Choice]:
    """Chooses the next token of every sequence.

    Args:
        logits: Shape (rows, vocabulary).
        sequences: One per row.
        recipes: One per row; rows with the same one are treated at once.
    """
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    tokens = logits.argmax(-1)
    for recipe in dict.fromkeys(recipes):
        if recipe is not GREEDY:
            rows = [row for row, other in enumerate(recipes) if other is recipe]
            chosen = recipe.choose(logits[rows], tokens[rows], [sequences[row] for row in rows])
            tokens[rows] = chosen
    total = logits.logsumexp(-1, keepdim=True)
    scores = logits.gather(-1, tokens[:, None]) - total
    wanted = max(sequence.params.logprobs for sequence in sequences)
    best = logits.topk(min(wanted, logits.shape[-1]))
    # Ids are exact in float32 below 2**24, which no vocabulary reaches.
    columns = (tokens[:, None].to(logits.dtype), scores, best.values - total)
    table = torch.cat([*columns, best.indices.to(logits.dtype)], dim=1).tolist()
    return [
        _choice(row, sequence.params.logprobs)
        for row, sequence in zip(table, sequences, strict=True)
    ]


def _choice(row: list[float], wanted: int) -> Choice:
    """Reads a row of the table: token, its score, the top scores, the top ids."""
    half = (len(row) - 2) // 2
    scores, ids = row[2 : 2 + half], row[2 + half :]
    top = [(int(i), score) for i, score in zip(ids[:wanted], scores[:wanted], strict=True)]
    return Choice(int(row[0]), row[1], top)
