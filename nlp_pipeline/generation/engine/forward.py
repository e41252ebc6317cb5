"""One step through the model: packed forward, head, choice. What fails is tried in halves."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from nlp_pipeline.errors.parallel import RankLost
from nlp_pipeline.generation.engine.attention import LayerShape, injected
from nlp_pipeline.generation.engine.batch import Chunk, PackedBatch
from nlp_pipeline.generation.engine.flight import Flight, nothing
from nlp_pipeline.generation.engine.head import head_of, scores_of
from nlp_pipeline.generation.engine.row import Row
from nlp_pipeline.generation.engine.sampling.choosing import Choices, choose
from nlp_pipeline.generation.engine.transfer import upload


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

    def run(self, chunks: list[Chunk]) -> None:
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
            flight.take_off()
            flight.book()
        elif len(chunks) == 1:
            chunks[0].row.fail(reason)
        else:
            half = len(chunks) // 2
            self.run(chunks[:half])
            self.run(chunks[half:])

    def settle(self) -> None:
        """Nothing is on its way between two steps."""

    def launch(self, chunks: list[Chunk], before: Flight) -> Flight:
        """Queues a step on the device and waits for nothing.

        Args:
            chunks: What to compute.
            before: The step before, which may hold tokens that these begin with.
        """
        if not chunks:
            return nothing()
        batch = PackedBatch(chunks, self._model.device, self._shape)
        before.fill_in(batch.ids[0], batch.unread)
        with injected(self._model):
            hidden = self._decoder(
                input_ids=batch.ids, position_ids=batch.positions, use_cache=False, packed=batch
            ).last_hidden_state[0]
        last = [index for index, chunk in enumerate(batch.chunks) if chunk.last]
        rows = [batch.chunks[index].row for index in last]
        choices = self._choices(rows, hidden, [batch.ends[index] for index in last])
        return Flight(batch.chunks, rows, choices, self._prompt_scores(batch, hidden))

    def _choices(self, rows: list[Row], hidden: Tensor, ends: list[int]) -> Choices | None:
        """The next tokens, after the hidden states at these places."""
        if not rows:
            return None
        logits = self._head(hidden[upload(ends, hidden.device)])
        return choose(logits, [row.sequence for row in rows], [row.recipe for row in rows])

    def _prompt_scores(self, batch: PackedBatch, hidden: Tensor) -> list[tuple[Row, Tensor]]:
        """Scores of the prompt tokens that follow a chunk's own, where `echo` asks."""
        found = []
        for chunk, end in zip(batch.chunks, batch.ends, strict=True):
            row, first = chunk.row, end + 1 - chunk.length
            targets = row.sequence.prompt_ids[chunk.start + 1 : chunk.end + 1]
            if row.sequence.params.echo and targets:
                states = hidden[first : first + len(targets)]
                found.append((row, scores_of(self._head, states, targets)))
        return found
