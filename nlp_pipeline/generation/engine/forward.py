"""One step through the model: packed forward, head, choice. What fails is tried in halves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nlp_pipeline.errors.parallel import RankLost
from nlp_pipeline.generation.engine.attention import LayerShape, injected
from nlp_pipeline.generation.engine.batch import Chunk, PackedBatch
from nlp_pipeline.generation.engine.head import head_of, scores_of
from nlp_pipeline.generation.engine.sampling.choosing import Choice, choose


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one chunk. Nothing has been written to its row yet.

    Attributes:
        chunk: What was computed.
        choice: The next token, where the chunk was the last before it.
        prompt_scores: Of the prompt tokens after the chunk's, where `echo` asks for them.
        failure: Why there is none of that.
    """

    chunk: Chunk
    choice: Choice | None = None
    prompt_scores: tuple[float, ...] = ()
    failure: str | None = None

    def book(self) -> None:
        """Writes it to the row and its sequence."""
        row = self.chunk.row
        if self.failure is not None:
            row.fail(self.failure)
            return
        row.slot.computed += self.chunk.length
        row.sequence.prompt_logprobs += self.prompt_scores
        if self.choice is not None:
            row.book(self.choice.token, self.choice.logprob, self.choice.top)


class Forward:
    """Runs chunks through a model.

    Args:
        model: A `transformers` causal language model that `supports` accepts.
        shape: What a layer keeps; the attention masks are of its dtype.
    """

    def __init__(self, model: Any, shape: LayerShape) -> None:
        self._model = model
        self._decoder = model.get_decoder()
        self._head = head_of(model)
        self._shape = shape

    def run(self, chunks: list[Chunk]) -> list[Outcome]:
        """Computes chunks, together if possible.

        An exception may mean that they are too much for the memory, or that one of them breaks
        the model: they are tried in halves, down to the one that fails alone. Trying again is
        safe because a chunk writes only keys and values of its own positions.
        """
        if not chunks:
            return []
        try:
            return self._together(chunks)
        except RankLost:  # nothing can be computed any more
            raise
        except Exception as error:
            if len(chunks) == 1:
                return [Outcome(chunks[0], failure=str(error) or type(error).__name__)]
        half = len(chunks) // 2
        return self.run(chunks[:half]) + self.run(chunks[half:])

    def _together(self, chunks: list[Chunk]) -> list[Outcome]:
        batch = PackedBatch(chunks, self._model.device, self._shape)
        with injected(self._model):
            hidden = self._decoder(
                input_ids=batch.ids, position_ids=batch.positions, use_cache=False, packed=batch
            ).last_hidden_state[0]
        choices = self._choices(batch, hidden)
        return [
            Outcome(chunk, choice, self._prompt_scores(chunk, hidden, end))
            for chunk, choice, end in zip(batch.chunks, choices, batch.ends, strict=True)
        ]

    def _choices(self, batch: PackedBatch, hidden: Tensor) -> list[Choice | None]:
        """The next tokens, after the chunks that are the last before one. One per chunk."""
        last = [index for index, chunk in enumerate(batch.chunks) if chunk.last]
        choices: list[Choice | None] = [None] * len(batch.chunks)
        if last:
            ends = torch.tensor([batch.ends[index] for index in last], device=hidden.device)
            rows = [batch.chunks[index].row for index in last]
            logits = self._head(hidden[ends])
            chosen = choose(logits, [r.sequence for r in rows], [r.recipe for r in rows])
            for index, choice in zip(last, chosen, strict=True):
                choices[index] = choice
        return choices

    def _prompt_scores(self, chunk: Chunk, hidden: Tensor, end: int) -> tuple[float, ...]:
        """Scores of the prompt tokens that follow the chunk's own, where `echo` asks."""
        row = chunk.row
        targets = row.sequence.prompt_ids[chunk.start + 1 : chunk.end + 1]
        if not row.sequence.params.echo or not targets:
            return ()
        first = end + 1 - chunk.length
        return tuple(scores_of(self._head, hidden[first : first + len(targets)], targets))
