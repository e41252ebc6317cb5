"""One step through the model: packed forward, head, choice. What fails is tried in halves."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from nlp_pipeline.errors.parallel import RankLost
from nlp_pipeline.generation.engine.batch import PackedBatch, ScheduledTokens
from nlp_pipeline.generation.engine.cuda_graphs import DecodeGraphs
from nlp_pipeline.generation.engine.hf_attention import LayerShape, attention_replaced
from nlp_pipeline.generation.engine.kv_cache.arena import Arena
from nlp_pipeline.generation.engine.output_head import Head, scores_of
from nlp_pipeline.generation.engine.pending_step import PendingStep, nothing
from nlp_pipeline.generation.engine.sampling.choices import Choices, choose
from nlp_pipeline.generation.engine.sequence_state import SequenceState
from nlp_pipeline.generation.engine.transfer import upload


class ModelRunner:
    """Runs chunks through a model.

    Args:
        model: A `transformers` causal language model that `supports` accepts.
        head: Its output head.
        shape: What a layer keeps; the attention masks are of its dtype.
        arena: Where all slots are, if they are in one.
        graphs: Replays decode steps over the arena, where there is one.
    """

    def __init__(
        self,
        model: Any,
        head: Head,
        shape: LayerShape,
        arena: Arena | None = None,
        graphs: DecodeGraphs | None = None,
    ) -> None:
        self._model = model
        self._decoder = model.get_decoder()
        self._head = head
        self._shape = shape
        self._arena = arena
        self._graphs = graphs

    def run(self, chunks: list[ScheduledTokens]) -> None:
        """Computes chunks, together if possible, and books what comes of them.

        An exception may mean that they are too much for the memory, or that one of them breaks
        the model: they are tried in halves, down to the one that fails alone. Trying again is
        safe because a chunk writes only keys and values of its own positions.
        """
        if not chunks:
            return
        try:
            flight = self.launch(chunks, nothing())
            flight.read()
        except RankLost:  # nothing can be computed any more
            raise
        except Exception as error:
            flight, reason = None, str(error) or type(error).__name__
        if flight is not None:
            flight.mark_launched()
            flight.book()
        elif len(chunks) == 1:
            chunks[0].row.fail(reason)
        else:
            half = len(chunks) // 2
            self.run(chunks[:half])
            self.run(chunks[half:])

    def settle(self) -> None:
        """Nothing is on its way between two steps."""

    def launch(self, chunks: list[ScheduledTokens], before: PendingStep) -> PendingStep:
        """Queues a step on the device and waits for nothing.

        Args:
            chunks: What to compute.
            before: The step before, which may hold tokens that these begin with.
        """
        if not chunks:
            return nothing()
        replayed = None if self._graphs is None else self._graphs.logits(chunks, before)
        if replayed is None:
            return self._packed(chunks, before)
        rows = [chunk.row for chunk in chunks]
        return PendingStep(chunks, rows, _choices(rows, replayed), [])

    def _packed(self, chunks: list[ScheduledTokens], before: PendingStep) -> PendingStep:
        """Launches chunks of any lengths."""
        batch = PackedBatch(chunks, self._model.device, self._shape, self._arena)
        before.fill_in(batch.ids[0], batch.unread)
        with attention_replaced(self._model):
            hidden = self._decoder(
                input_ids=batch.ids, position_ids=batch.positions, use_cache=False, packed=batch
            ).last_hidden_state[0]
        last = [index for index, chunk in enumerate(batch.chunks) if chunk.last]
        rows = [batch.chunks[index].row for index in last]
        choices = None
        if rows:
            ends = upload([batch.ends[index] for index in last], hidden.device)
            choices = _choices(rows, self._head(hidden[ends]))
        return PendingStep(batch.chunks, rows, choices, self._prompt_scores(batch, hidden))

    def _prompt_scores(
        self, batch: PackedBatch, hidden: Tensor
    ) -> list[tuple[SequenceState, Tensor]]:
        """Scores of the prompt tokens that follow a chunk's own, where `echo` asks."""
        found = []
        for chunk, end in zip(batch.chunks, batch.ends, strict=True):
            row, first = chunk.row, end + 1 - chunk.length
            targets = row.sequence.prompt_ids[chunk.start + 1 : chunk.end + 1]
            if row.sequence.params.echo and targets:
                states = hidden[first : first + len(targets)]
                found.append((row, scores_of(self._head, states, targets)))
        return found


def _choices(rows: list[SequenceState], logits: Tensor) -> Choices:
    """The rows' next tokens. Shape of logits: (rows, vocabulary)."""
    return choose(logits, [row.sequence for row in rows], [row.sampler for row in rows])
