"""Graphs of the decode step, one per bucket of rows, over inputs that never move."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nlp_pipeline.generation.engine.attention.paged_batch import OverPages, PagedStep, token_slots
from nlp_pipeline.generation.engine.graph_capture import Capture
from nlp_pipeline.generation.engine.kv_cache.paged_cache import PagedCache
from nlp_pipeline.generation.engine.output_head import Head
from nlp_pipeline.generation.engine.pending_step import PendingStep
from nlp_pipeline.generation.engine.sampling.choices import Choices, choose, is_plain
from nlp_pipeline.generation.engine.scheduled_tokens import ScheduledTokens
from nlp_pipeline.generation.engine.transfer import send

logger = logging.getLogger(__name__)

INPUTS = 5
"""Numbers of each row: id, position, slot, row of the block tables, place in the step before."""


class StaticBatch(OverPages):
    """A decode step of one number of rows, whose tensors are the same at every replay.

    Args:
        cache: Has pages, tables and body.
        inputs: Shape (INPUTS, rows).
        ids: Shape (rows,).
    """

    def __init__(self, cache: PagedCache, inputs: Tensor, ids: Tensor) -> None:
        _, positions, slots, rows, _ = inputs
        self.body, self.pages = cache.body, cache.pages
        self.ids, self.positions = ids[None], positions[None]
        tables = cache.tables.device
        self.step = PagedStep(
            len(ids), positions, slots=slots, tables=tables, blocks=tables.shape[1], rows=rows
        )


class DecodeGraphs:
    """Replays steps in which every sequence gets one token.

    A graph holds for a number of rows; lengths and places are read from the device. From the ids
    to the likeliest token and its score all is recorded, and the ids themselves are taken from
    the step before where the host does not know them yet.

    Args:
        decoder: Hidden states of a batch.
        head: Logits of hidden states.
        cache: Where keys and values are.
        capture: Records.
        max_batch_size: Rows of the largest step.
    """

    def __init__(
        self,
        decoder: Callable[[Any], Tensor],
        head: Head,
        cache: PagedCache,
        capture: Capture,
        max_batch_size: int,
    ) -> None:
        self._decoder = decoder
        self._head = head
        self._cache = cache
        self._capture: Capture | None = capture
        self._buckets = row_buckets(max_batch_size)
        device = cache.pages.memory.device
        rows = self._buckets[-1]
        self._inputs = torch.zeros(INPUTS * rows, dtype=torch.int32, device=device)
        self._tokens = torch.zeros(rows, dtype=torch.long, device=device)
        self._tables: dict[int, Tensor] = {}
        self._graphs: dict[int, Callable[[], Tensor]] = {}

    def run(self, chunks: list[ScheduledTokens], previous_step: PendingStep) -> Choices | None:
        """What follows chunks of one token, or None where they have to be computed as usual.

        Args:
            chunks: As scheduled.
            previous_step: The step before, which may hold their tokens.
        """
        single = all(chunk.length == 1 and chunk.last for chunk in chunks)
        if self._capture is None or not single:
            return None
        rows = next(bucket for bucket in self._buckets if bucket >= len(chunks))
        if not self._graphs and not self._record(self._capture):
            return None
        self._cache.tables.update()
        self._fill(chunks, rows, previous_step)
        logits = self._graphs[rows]()
        states = [chunk.state for chunk in chunks]
        if is_plain(states):
            table = self._tables[rows][: len(states)]
            return Choices(self._tokens[: len(states)], table, [0] * len(states))
        choices = choose(logits[: len(states)], states)
        self.note(choices)
        return choices

    def note(self, choices: Choices | None) -> None:
        """Keeps the tokens of a step where the next replay looks for them."""
        if choices is not None and self._capture is not None:
            self._tokens[: len(choices.tokens)] = choices.tokens

    def _fill(self, chunks: list[ScheduledTokens], rows: int, previous_step: PendingStep) -> None:
        """The inputs of every row, in one copy to where graphs read them."""
        tables = self._cache.tables
        pinned = self._inputs.is_cuda
        joined = torch.empty(INPUTS * rows, dtype=torch.int32, pin_memory=pinned)
        host = joined.numpy().reshape(INPUTS, rows)
        count = len(chunks)
        host[:, count:] = [[0], [0], [0], [tables.padding_row], [-1]]
        positions = np.array([chunk.start for chunk in chunks])
        table_rows = np.array([chunk.state.slot.row for chunk in chunks])
        host[0, :count] = [chunk.tokens[0] for chunk in chunks]
        host[1, :count] = positions
        host[2, :count] = token_slots(tables.host, table_rows, positions, self._cache.pages.page)
        host[3, :count] = table_rows
        host[4, :count] = [previous_step.place_of(c.state) if c.unread else -1 for c in chunks]
        self._inputs[: INPUTS * rows].copy_(send(joined, self._inputs.device), non_blocking=pinned)

    def _record(self, capture: Capture) -> bool:
        """Records all buckets at the first decode step, the largest first: they share memory."""
        tokens = self._tokens.clone()  # warm-ups write over what the first replay looks for
        try:
            for rows in reversed(self._buckets):
                self._graphs[rows] = capture(partial(self._compute, rows))
        except Exception as error:
            self._capture = None
            self._graphs.clear()
            reason = " ".join((str(error) or type(error).__name__).split())[:200]
            logger.warning(
                "The decode step cannot be recorded as a CUDA graph and runs without, which is "
                "slower (%s). cuda_graphs=False leaves the attempt out.",
                reason,
            )
            return False
        self._tokens.copy_(tokens)
        return True

    def _compute(self, rows: int) -> Tensor:
        """What is recorded. Reads the inputs, the pages, their tables and the weights only."""
        inputs = self._inputs[: INPUTS * rows].view(INPUTS, rows)
        previous = inputs[4]
        ids = torch.where(
            previous >= 0, self._tokens[previous.clamp(min=0)], inputs[0].to(torch.long)
        )
        logits = self._head(self._decoder(StaticBatch(self._cache, inputs, ids)))
        if rows not in self._tables:
            wide = torch.promote_types(logits.dtype, torch.float32)
            self._tables[rows] = logits.new_empty((rows, 2), dtype=wide)
        self._cache.body.likeliest(logits, self._tokens[:rows], self._tables[rows])
        return logits


def row_buckets(most: int) -> list[int]:
    """Numbers of rows that are recorded: powers of two up to 16, then eight to a doubling at most.

    Padding rows cost little in a matrix product of few rows, and more of them the more there are.
    """
    buckets = [rows for rows in (1, 2, 4, 8, 16, 24, 32, 48, 64, 80, 96, 128) if rows < most]
    buckets += range(160, most, 32)
    return [*buckets, most]
