"""Graphs of the decode step, one per bucket of sizes, over inputs that never move."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from nlp_pipeline.generation.engine.attention.gathered import (
    GATHERED_TOKENS,
    GatheredSpan,
    place_of,
)
from nlp_pipeline.generation.engine.batch import ScheduledTokens
from nlp_pipeline.generation.engine.graph_capture import Capture
from nlp_pipeline.generation.engine.hf_attention import attention_replaced
from nlp_pipeline.generation.engine.kv_cache.arena import Arena
from nlp_pipeline.generation.engine.kv_cache.slot_pool import capacity_class
from nlp_pipeline.generation.engine.output_head import Head
from nlp_pipeline.generation.engine.pending_step import PendingStep
from nlp_pipeline.generation.engine.transfer import upload

logger = logging.getLogger(__name__)


class DecodeGraphs:
    """Computes decode steps by replaying what was recorded of one of the same size.

    Rows are filled up to a power of two with rows that are none: they write to the arena's
    scratch token and nobody reads what comes of them. Past positions are filled up to a capacity
    class of the slots. A graph is recorded when its size first comes up, so a run pays for the
    sizes it has; mostly the largest comes first, and the others find memory in its pool.

    Args:
        model: On one device.
        head: Its output head.
        arena: Where keys and values are.
        capture: Records.
        max_batch_size: Rows at most.
    """

    def __init__(
        self, model: Any, head: Head, arena: Arena, capture: Capture, max_batch_size: int
    ) -> None:
        self._model = model
        self._decoder = model.get_decoder()
        self._head = head
        self._arena = arena
        self._capture: Capture | None = capture
        rows = _power_of_two(max_batch_size)
        self._inputs = torch.zeros(4, rows, dtype=torch.long, device=model.device)
        self._graphs: dict[tuple[int, int], Callable[[], Tensor]] = {}

    def logits(self, chunks: list[ScheduledTokens], before: PendingStep) -> Tensor | None:
        """Logits after chunks of one token, or None where they have to be computed as usual.

        Args:
            chunks: As scheduled.
            before: The step before, which may hold their tokens.

        Returns:
            Shape (len(chunks), vocabulary); overwritten by the next step.
        """
        rows = _power_of_two(len(chunks))
        longest = capacity_class(max(chunk.end for chunk in chunks), 2**62)
        single = all(chunk.length == 1 and chunk.last for chunk in chunks)
        if self._capture is None or not single or rows * longest > GATHERED_TOKENS:
            return None
        self._fill(chunks, rows)
        before.fill_in(self._inputs[0], {i: c.row for i, c in enumerate(chunks) if c.unread})
        replay = self._graph(rows, longest, self._capture)
        return None if replay is None else replay()[: len(chunks)]

    def _fill(self, chunks: list[ScheduledTokens], rows: int) -> None:
        """Id, position, place and capacity of every row, in one copy to where graphs read them."""
        columns = [(c.tokens[0], c.start, *place_of(c.row.slot)) for c in chunks]
        columns += [(0, 0, self._arena.scratch, 1)] * (rows - len(chunks))
        table = upload(list(zip(*columns, strict=True)), self._inputs.device)
        self._inputs[:, :rows].copy_(table)

    def _graph(self, rows: int, longest: int, capture: Capture) -> Callable[[], Tensor] | None:
        """The graph of this size; None if nothing can be recorded, which is found out once."""
        size = rows, longest
        if size not in self._graphs:
            try:
                self._graphs[size] = capture(partial(self._compute, rows, longest))
            except Exception as error:
                self._capture = None
                reason = " ".join((str(error) or type(error).__name__).split())[:200]
                logger.warning(
                    "The decode step of %s cannot be recorded as a CUDA graph and runs without, "
                    "which is slower (%s). cuda_graphs=False leaves the attempt out.",
                    type(self._model).__name__,
                    reason,
                )
                return None
        return self._graphs[size]

    def _compute(self, rows: int, longest: int) -> Tensor:
        """What is recorded. Reads the inputs, the arena and the weights only."""
        ids, positions, starts, capacities = self._inputs[:, :rows]
        span = GatheredSpan(self._arena, positions, starts, capacities, longest)
        with attention_replaced(self._model):
            hidden = self._decoder(
                input_ids=ids[None], position_ids=positions[None], use_cache=False,
                packed=_Alone(span),
            ).last_hidden_state[0]  # fmt: skip
        return self._head(hidden)


class _Alone:
    """A span that is the whole batch; see `attention.PackedAttention`."""

    def __init__(self, span: GatheredSpan) -> None:
        self._span = span

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """Heads come before tokens there, and after them here."""
        query, key, value = (tensor[0].transpose(0, 1) for tensor in (query, key, value))
        return self._span.attend(layer, query, key, value, scale).unsqueeze(0)


def _power_of_two(count: int) -> int:
    return 1 << (count - 1).bit_length()
