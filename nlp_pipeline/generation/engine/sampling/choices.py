"""One step's tokens and scores for all rows, in one copy from the device, read when wanted."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from nlp_pipeline.generation.engine.sampling.sampler import GREEDY
from nlp_pipeline.generation.engine.sequence_state import SequenceState
from nlp_pipeline.generation.engine.transfer import HostCopy, upload

BLOCK = 128
"""Logits among which the place of the highest is looked for."""


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

    Args:
        tokens: See above.
        table: Per row the token, its score, the best scores and their ids.
        alternatives: How many of the best each row asks for.
    """

    def __init__(self, tokens: Tensor, table: Tensor, alternatives: list[int]) -> None:
        self.tokens = tokens
        self._table = HostCopy(table)
        self._alternatives = alternatives

    def read(self) -> list[Choice]:
        """One per row. Waits until they are there."""
        rows = self._table.read().tolist()
        return [_choice(*pair) for pair in zip(rows, self._alternatives, strict=True)]


def choose(logits: Tensor, states: list[SequenceState]) -> Choices:
    """Chooses the next token of every sequence, without waiting for the device.

    Args:
        logits: Shape (rows, vocabulary).
        states: One per row; rows with the same sampler are treated at once.
    """
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    tokens = likeliest(logits)
    for sampler in dict.fromkeys(state.sampler for state in states):
        if sampler is not GREEDY:
            rows = [row for row, state in enumerate(states) if state.sampler is sampler]
            at = upload(rows, logits.device)
            tokens[at] = sampler.choose(logits[at], tokens[at], [states[row] for row in rows])
    alternatives = [state.sequence.params.logprobs for state in states]
    return Choices(tokens, _table(logits, tokens, max(alternatives)), alternatives)


def likeliest(logits: Tensor) -> Tensor:
    """The first of the highest logits of every row, as `argmax` finds it. Shape: (rows,).

    On a CPU torch's `argmax` goes from number to number, where `amax` takes many at once: here the
    maxima of blocks are found first, and the place in one block alone.

    Args:
        logits: Shape (rows, vocabulary). One that is not a number is the highest.
    """
    size = math.gcd(logits.shape[-1], BLOCK)
    if logits.device.type != "cpu" or size < BLOCK // 8:
        return logits.argmax(-1)
    blocks = logits.unflatten(-1, (-1, size))
    highest = blocks.amax(-1).argmax(-1)
    within = blocks[torch.arange(len(logits)), highest].argmax(-1)
    tokens: Tensor = highest * size + within
    return tokens


def is_plain(states: list[SequenceState]) -> bool:
    """Whether all rows take the likeliest token and nobody asks for alternatives."""
    return all(s.sampler is GREEDY and not s.sequence.params.logprobs for s in states)


def _table(logits: Tensor, tokens: Tensor, alternatives: int) -> Tensor:
    """Token, its score, the best scores and their ids. Shape: (rows, 2 + 2 * alternatives)."""
    total = logits.logsumexp(-1, keepdim=True)
    scores = logits.gather(-1, tokens[:, None]) - total
    # Ids are exact in float32 below 2**24, which no vocabulary reaches.
    columns = [tokens[:, None].to(logits.dtype), scores]
    if alternatives:
        best = logits.topk(min(alternatives, logits.shape[-1]))
        columns += [best.values - total, best.indices.to(logits.dtype)]
    return torch.cat(columns, dim=1)


def _choice(row: list[float], alternatives: int) -> Choice:
    """Reads a row of the table: token, its score, the top scores, the top ids."""
    half = (len(row) - 2) // 2
    scores, ids = row[2 : 2 + half], row[2 + half :]
    top = [
        (int(i), score) for i, score in zip(ids[:alternatives], scores[:alternatives], strict=True)
    ]
    return Choice(int(row[0]), row[1], top)
