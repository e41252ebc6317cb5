"""Plain padded batches, sorted by length: the executor for models that the engine cannot take.

Also the simple path that the engine is proven equal to.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from inspect import signature
from typing import Any

import torch
from torch import Tensor

from nlp_pipeline.errors.generation import GenerationFailed, TooManyBeams
from nlp_pipeline.errors.parallel import RankLost
from nlp_pipeline.generation.fallback.sampling import TokenSampler, advance, log_probabilities
from nlp_pipeline.generation.sequence import Sequence

WINDOW = 4
"""So many batches' worth of sequences wait at a time, to be sorted by length among themselves."""


class BatchExecutor:
    """Generates for a batch of left-padded prompts at a time, until its last sequence ends.

    Args:
        model: A `transformers` causal language model, on its device, in evaluation mode.
        eos_token_ids: Tokens that end a sequence.
        token_bytes: The bytes a token stands for, to find stop strings with.
        max_batch_size: Sequences in a batch.
        max_seq_len: Positions of the model's context.
    """

    def __init__(
        self,
        model: Any,
        *,
        eos_token_ids: frozenset[int],
        token_bytes: Callable[[int], bytes],
        max_batch_size: int,
        max_seq_len: int,
    ) -> None:
        self._model = model
        self._eos = eos_token_ids
        self._token_bytes = token_bytes
        self._max_batch_size = max_batch_size
        self._cache_name = _cache_name(model)
        self._max_seq_len = max_seq_len
        self._waiting: deque[Sequence] = deque()
        self._refused: list[Sequence] = []

    @property
    def room(self) -> int:
        """Places left in the window of waiting sequences."""
        return max(0, WINDOW * self._max_batch_size - len(self._waiting))

    def add(self, sequence: Sequence) -> None:
        """Puts a sequence in the waiting line; one with beams comes back with an error."""
        if sequence.params.num_beams > 1:
            sequence.fail(TooManyBeams(sequence.params.num_beams, 1))
            self._refused.append(sequence)
        else:
            self._waiting.append(sequence)

    def cancel(self, sequences: list[Sequence]) -> None:
        """Takes sequences out of the waiting line; none runs between two steps."""
        cancelled = set(sequences)
        self._waiting = deque(s for s in self._waiting if s not in cancelled)
        self._refused = [s for s in self._refused if s not in cancelled]

    def close(self) -> None:
        """Nothing to do: a batch's keys and values go with it."""

    def step(self) -> list[Sequence]:
        """Runs one batch to its end; the oldest document's waiting sequence is always in it."""
        refused, self._refused = self._refused, []
        if refused or not self._waiting:
            return refused
        batch = self._next_batch()
        self._run(batch)
        return batch

    def _next_batch(self) -> list[Sequence]:
        """The oldest document's first sequence and those nearest in length, longest first."""
        ordered = sorted(self._waiting, key=lambda s: -len(s.prompt_ids))
        first = min(self._waiting, key=lambda s: s.position)
        oldest = next(i for i, s in enumerate(ordered) if s is first)
        start = max(0, min(oldest, len(ordered) - self._max_batch_size))
        batch = ordered[start : start + self._max_batch_size]
        self.cancel(batch)
        return batch

    def _run(self, batch: list[Sequence]) -> None:
        """Generates for a batch, or for its halves, down to the sequence that fails alone.

        An exception may mean that there is too little memory for so many, or that one of them
        breaks the model. The halves run when the exception, and with it what the failed attempt
        held, is gone.
        """
        try:
            self._generate(batch)
            return
        except RankLost:  # nothing can be computed any more
            raise
        except Exception as error:
            failure = GenerationFailed(" ".join((str(error) or type(error).__name__).split())[:300])
        for sequence in batch:
            sequence.reset()
        if len(batch) == 1:
            batch[0].fail(failure)
            return
        half = len(batch) // 2
        self._run(batch[:half])
        self._run(batch[half:])

    @torch.inference_mode()
    def _generate(self, batch: list[Sequence]) -> None:
        """Prefill, then one token for every row until all have ended."""
        ids, mask = self._left_padded(batch)
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        whole = any(s.params.echo for s in batch)
        logits, cache = self._forward(ids, mask, positions, None, keep=0 if whole else 1)
        if whole:
            self._score_prompts(batch, logits)
        samplers = [
            TokenSampler(s, self._eos, self._token_bytes, max_seq_len=self._max_seq_len)
            for s in batch
        ]
        position = positions[:, -1:]
        tokens = advance(samplers, logits[:, -1])
        while not all(s.finish_reason for s in batch):
            mask = torch.cat([mask, mask.new_ones(len(batch), 1)], dim=1)
            # Rows that have ended stay at the last position: one past it would make a model
            # with dynamic position scaling change the others' outputs.
            position = (position + 1).clamp(max=self._max_seq_len - 1)
            logits, cache = self._forward(tokens[:, None], mask, position, cache, keep=1)
            tokens = advance(samplers, logits[:, -1])

    def _forward(
        self, ids: Tensor, mask: Tensor, positions: Tensor, cache: Any, *, keep: int
    ) -> tuple[Tensor, Any]:
        """One pass. Shapes: ids and positions (batch, new), mask (batch, cached + new).

        `keep` last positions get logits, 0 means all: (batch, keep, vocabulary) is the largest
        tensor of a prefill by far.
        """
        out = self._model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            use_cache=True,
            logits_to_keep=keep,
            **{self._cache_name: cache},
        )
        return out.logits, out[self._cache_name]

    def _left_padded(self, batch: list[Sequence]) -> tuple[Tensor, Tensor]:
        """Prompts padded on the left, and the mask that hides the padding. Shape: (batch, T)."""
        width = max(len(s.prompt_ids) for s in batch)
        ids = torch.zeros(len(batch), width, dtype=torch.long)
        mask = torch.zeros(len(batch), width, dtype=torch.long)
        for row, sequence in enumerate(batch):
            ids[row, width - len(sequence.prompt_ids) :] = torch.tensor(sequence.prompt_ids)
            mask[row, width - len(sequence.prompt_ids) :] = 1
        return ids.to(self._model.device), mask.to(self._model.device)

    def _score_prompts(self, batch: list[Sequence], logits: Tensor) -> None:
        """Log-probabilities of the prompt's own tokens, where `echo` asks for them."""
        for row, sequence in enumerate(batch):
            if not sequence.params.echo:
                continue
            ids = torch.tensor(sequence.prompt_ids, device=logits.device)
            scores = log_probabilities(logits[row, -len(ids) :])
            picked = scores[:-1].gather(-1, ids[1:, None])[:, 0].tolist()
            sequence.prompt_logprobs = [None, *picked]


def _cache_name(model: Any) -> str:
    """What the model calls the keys and values of before: transformers renames them within 5.x."""
    parameters = signature(model.forward).parameters
    return "cache" if "cache" in parameters else "past_key_values"
