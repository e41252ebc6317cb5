"""One step through the model: packed forward, head, choice. What fails is tried in halves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from nlp_pipeline.errors.parallel import RankLost
from nlp_pipeline.generation.engine.cuda_graphs import DecodeGraphs
from nlp_pipeline.generation.engine.kv_cache.kv_protocols import KVCache, StepBatch
from nlp_pipeline.generation.engine.output_head import Head, scores_of
from nlp_pipeline.generation.engine.pending_step import PendingStep, no_step
from nlp_pipeline.generation.engine.sampling.choices import choose
from nlp_pipeline.generation.engine.scheduled_tokens import ScheduledTokens
from nlp_pipeline.generation.engine.sequence_state import SequenceState
from nlp_pipeline.generation.engine.transfer import upload


class ModelRunner:
    """Runs chunks through a model.

    Args:
        decoder: Hidden states of a batch, shape (T, hidden).
        head: The output head.
        cache: Packs a batch over the keys and values that it has.
        graphs: Replays decode steps, where there are any.
        on_out_of_memory: Is told when a step was too much for the memory.
    """

    def __init__(
        self,
        decoder: Callable[[Any], Tensor],
        head: Head,
        cache: KVCache,
        graphs: DecodeGraphs | None = None,
        on_out_of_memory: Callable[[], None] = lambda: None,
    ) -> None:
        self._decoder = decoder
        self._head = head
        self._cache = cache
        self._graphs = graphs
        self._on_out_of_memory = on_out_of_memory

    def run(self, chunks: list[ScheduledTokens]) -> None:
        """Computes chunks, together if possible, and appends the tokens that come of them.

        An exception may mean that they are too much for the memory, or that one of them breaks
        the model: they are tried in halves, down to the one that fails alone; and that one in
        shorter pieces, if it is the memory. Trying again is safe because a chunk writes only keys
        and values of its own positions.
        """
        if not chunks:
            return
        try:
            step = self.launch(chunks, no_step())
            step.read()
        except RankLost:  # nothing can be computed any more
            raise
        except Exception as error:
            reason = str(error) or type(error).__name__
            too_large = _is_out_of_memory(error)
        else:
            step.mark_launched()
            step.append_tokens()
            return
        if too_large:
            self._on_out_of_memory()
        self._run_parts(chunks, reason, shorter=too_large)

    def _run_parts(self, chunks: list[ScheduledTokens], reason: str, *, shorter: bool) -> None:
        """Halves of what has failed together, or of a single chunk, one after the other."""
        if len(chunks) > 1:
            half = len(chunks) // 2
            self.run(chunks[:half])
            self.run(chunks[half:])
        elif shorter and chunks[0].length > 1:
            (chunk,), half = chunks, chunks[0].length // 2
            self.run([ScheduledTokens(chunk.state, half)])
            if not chunk.state.finished:
                self.run([ScheduledTokens(chunk.state, chunk.length - half)])
        else:
            chunks[0].state.fail(reason)

    def settle(self) -> None:
        """Does nothing: a step is over when this runner returns."""

    def launch(self, chunks: list[ScheduledTokens], previous_step: PendingStep) -> PendingStep:
        """Queues a step on the device and waits for nothing.

        Args:
            chunks: What to compute.
            previous_step: The step before, which may hold tokens that these begin with.
        """
        if not chunks:
            return no_step()
        if self._graphs is not None:
            replayed = self._graphs.run(chunks, previous_step)
            if replayed is not None:
                return PendingStep(chunks, [chunk.state for chunk in chunks], replayed, scores=[])
        batch = self._cache.pack(chunks)
        previous_step.fill_in(batch.ids[0], batch.unread)
        hidden_states = self._decoder(batch)
        ending = [index for index, chunk in enumerate(batch.chunks) if chunk.last]
        states = [batch.chunks[index].state for index in ending]
        choices = None
        if states:
            ends = upload([batch.ends[index] for index in ending], hidden_states.device)
            choices = choose(self._head(hidden_states[ends]), states)
        if self._graphs is not None:
            self._graphs.note(choices)
        return PendingStep(
            batch.chunks, states, choices, scores=self._prompt_scores(batch, hidden_states)
        )

    def _prompt_scores(
        self, batch: StepBatch, hidden_states: Tensor
    ) -> list[tuple[SequenceState, Tensor]]:
        """Scores of the prompt tokens that follow a chunk's own, where `echo` asks."""
        scores = []
        for chunk, end in zip(batch.chunks, batch.ends, strict=True):
            state, first = chunk.state, end + 1 - chunk.length
            targets = state.sequence.prompt_ids[chunk.start + 1 : chunk.end + 1]
            if state.sequence.params.echo and targets:
                span = hidden_states[first : first + len(targets)]
                scores.append((state, scores_of(self._head, span, targets)))
        return scores


def _is_out_of_memory(error: Exception) -> bool:
    """Whether a smaller step may fit; torch says it in its own class on CUDA, in words on a CPU."""
    if isinstance(error, MemoryError | torch.cuda.OutOfMemoryError):
        return True
    text = str(error).lower()
    return "out of memory" in text or "can't allocate memory" in text
