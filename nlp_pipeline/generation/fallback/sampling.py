"""The next token of one sequence, and when a sequence ends: the simple path, a row at a time."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from nlp_pipeline.errors.generation import GenerationFailed
from nlp_pipeline.generation.constraints.mask import constrained
from nlp_pipeline.generation.interface import SamplingParams
from nlp_pipeline.generation.sequence import Sequence
from nlp_pipeline.generation.stopping import StopRule, stop_token_ids


def advance(samplers: list[TokenSampler], logits: Tensor) -> Tensor:
    """Chooses a token for every row and books it. Ended rows get an arbitrary token.

    Args:
        samplers: One per row.
        logits: Shape (rows, vocabulary).

    Returns:
        Token ids on the logits' device. Shape: (rows,).
    """
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    likeliest = logits.argmax(-1)
    choices = [
        sampler.choose(row, int(greedy))
        for sampler, row, greedy in zip(samplers, logits, likeliest.tolist(), strict=True)
    ]
    tokens = torch.tensor(choices, device=logits.device)
    scores = log_probabilities(logits)
    picked = scores.gather(-1, tokens[:, None])[:, 0].tolist()
    for sampler, row, logprob, token in zip(samplers, scores, picked, choices, strict=True):
        sampler.book(token, logprob, row)
    return tokens


def log_probabilities(logits: Tensor) -> Tensor:
    """The model's own distribution, in float32 or better. Shape: (…, vocabulary), as given."""
    return logits.log_softmax(-1, dtype=torch.promote_types(logits.dtype, torch.float32))


class TokenSampler:
    """Chooses one sequence's tokens and ends it.

    Args:
        sequence: Written to by `book`.
        eos_token_ids: Tokens that end the sequence.
        token_bytes: The bytes a token stands for, to find stop strings with.
        max_seq_len: Tokens of prompt and completion together that fit.
    """

    def __init__(
        self,
        sequence: Sequence,
        eos_token_ids: frozenset[int],
        token_bytes: Callable[[int], bytes],
        max_seq_len: int,
    ) -> None:
        params = sequence.params
        self._sequence = sequence
        budget = min(params.max_new_tokens, max_seq_len - len(sequence.prompt_ids))
        ends = eos_token_ids | stop_token_ids(sequence.constraint)
        self._stop = StopRule(params.stop, budget, ends, token_bytes=token_bytes)
        # The CPU's generator on every device: the same seed gives the same sample anywhere.
        self._random = torch.Generator().manual_seed(params.seed + sequence.sample)

    def choose(self, logits: Tensor, likeliest: int) -> int:
        """The next token. Shape of logits: (vocabulary,)."""
        params = self._sequence.params
        plain = params.greedy and params.repetition_penalty == 1
        if self._sequence.finish_reason or (plain and self._sequence.constraint is None):
            return likeliest
        previous_ids = self._sequence.prompt_ids + self._sequence.output_ids
        logits = penalized(logits.cpu(), previous_ids, params.repetition_penalty)
        logits = constrained(logits, self._sequence)
        if params.greedy:
            return int(logits.argmax())
        distribution = probabilities(logits, params)
        return int(torch.multinomial(distribution, 1, generator=self._random))

    def book(self, token: int, logprob: float, scores: Tensor) -> None:
        """Appends a token and ends the sequence where it ends. `scores`: (vocabulary,)."""
        sequence, params = self._sequence, self._sequence.params
        if sequence.finish_reason:
            return
        if math.isnan(logprob):
            sequence.fail(GenerationFailed("the model's probabilities are not finite numbers"))
            return
        sequence.output_ids.append(token)
        sequence.logprobs.append(logprob)
        if params.logprobs:
            best = scores.topk(min(params.logprobs, scores.numel()))
            sequence.top.append(list(zip(best.indices.tolist(), best.values.tolist(), strict=True)))
        sequence.finish_reason = self._stop.after(token)
        sequence.stopped_by_token = token in self._stop.eos_token_ids


def penalized(logits: Tensor, previous_ids: list[int], penalty: float) -> Tensor:
    """Divides the positive and multiplies the negative logits of seen tokens (CTRL, 2019)."""
    if penalty == 1:
        return logits
    ids = torch.tensor(sorted(set(previous_ids)))
    picked = logits[ids]
    return logits.scatter(0, ids, torch.where(picked > 0, picked / penalty, picked * penalty))


def probabilities(logits: Tensor, params: SamplingParams) -> Tensor:
    """The distribution sampled from: temperature, then top-k, top-p, min-p. (vocabulary,)."""
    logits = logits / params.temperature
    if params.top_k:
        floor = logits.topk(min(params.top_k, logits.numel())).values[-1]
        logits = logits.masked_fill(logits < floor, float("-inf"))
    if params.top_p < 1:
        ordered, ids = logits.sort(descending=True)
        cumulative = ordered.softmax(-1).cumsum(-1) - ordered.softmax(-1)
        logits = logits.index_fill(0, ids[cumulative >= params.top_p], float("-inf"))
    if params.min_p > 0:
        weights = logits.softmax(-1)
        logits = logits.masked_fill(weights < params.min_p * weights.max(), float("-inf"))
    return logits.softmax(-1)
