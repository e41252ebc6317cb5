"""The packed batch of one step: which tokens go in, and how each attends to its own past."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

from nlp_pipeline.generation.engine.attention.gathered import (
    GATHERED_TOKENS,
    GatheredSpan,
    place_of,
)
from nlp_pipeline.generation.engine.attention.shared_prefix import SharedPrefixSpan
from nlp_pipeline.generation.engine.attention.spans import DecodeSpan, PrefillSpan, Span, neighbours
from nlp_pipeline.generation.engine.hf_attention import LayerShape
from nlp_pipeline.generation.engine.kv_cache.arena import Arena
from nlp_pipeline.generation.engine.sequence_state import SequenceState
from nlp_pipeline.generation.engine.transfer import upload


@dataclass(frozen=True, slots=True)
class ScheduledTokens:
    """What a row computes in one step: its tokens from `slot.computed` on, `length` of them."""

    row: SequenceState
    length: int

    @property
    def start(self) -> int:
        """Position of its first token."""
        return self.row.computed

    @property
    def end(self) -> int:
        """One past the position of its last token."""
        return self.row.computed + self.length

    @property
    def unread(self) -> bool:
        """Whether its one token is on the device only."""
        return self.start == len(self.row.tokens)

    @property
    def tokens(self) -> list[int]:
        """Its token ids; 0 for one that is on the device only."""
        return [0] if self.unread else self.row.tokens[self.start : self.end]

    @property
    def last(self) -> bool:
        """Whether the next token can be chosen after it."""
        return self.length == self.row.pending

    @property
    def place(self) -> tuple[bool, bool, tuple[int, int]]:
        """Single tokens first, those after a prefix before others, neighbours side by side."""
        slot = self.row.slot
        return self.length > 1, slot.prefix is None, slot.place


class PackedBatch:
    """The tokens of one forward pass, one after the other, and the spans they attend in.

    Args:
        chunks: In any order; `chunks` of the batch says in which they were packed.
        device: Of the model's inputs.
        shape: What a layer keeps.
        arena: Where the slots are, if they are in one.

    Attributes:
        chunks: As packed.
        ids: Shape (1, T).
        positions: Shape (1, T).
        ends: Where each chunk's last token is in the batch.
        unread: Places whose token only the device knows; `ids` has 0 there.
    """

    def __init__(
        self,
        chunks: list[ScheduledTokens],
        device: torch.device,
        shape: LayerShape,
        arena: Arena | None = None,
    ) -> None:
        self.chunks = sorted(chunks, key=lambda chunk: chunk.place)
        ids = [i for c in self.chunks for i in c.tokens]
        positions = [i for c in self.chunks for i in range(c.start, c.end)]
        self.ids, self.positions = upload([ids, positions], device).unsqueeze(1)
        self.ends = [end - 1 for end in accumulate(chunk.length for chunk in self.chunks)]
        places = zip(self.ends, self.chunks, strict=True)
        self.unread = {end: chunk.row for end, chunk in places if chunk.unread}
        self._spans = _spans(self.chunks, shape, arena)
        self._sizes = [span.size for span in self._spans]

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """Every span for itself; see `attention.PackedAttention`."""
        parts = (tensor[0].transpose(0, 1).split(self._sizes) for tensor in (query, key, value))
        outputs = [
            span.attend(layer, q, k, v, scale)
            for span, q, k, v in zip(self._spans, *parts, strict=True)
        ]
        return torch.cat(outputs).unsqueeze(0)


def _spans(chunks: list[ScheduledTokens], shape: LayerShape, arena: Arena | None) -> list[Span]:
    """Of single tokens those after a prefix are one span, and those in neighbouring rows one each.

    Every longer chunk is one. In an arena all single tokens are, unless too much would have to be
    gathered.
    """
    singles = [chunk for chunk in chunks if chunk.length == 1]
    longer = chunks[len(singles) :]
    after = [chunk for chunk in singles if chunk.row.slot.prefix is not None]
    alone = singles[len(after) :]
    spans: list[Span] = []
    if after:
        slots, ends = [chunk.row.slot for chunk in after], [chunk.end for chunk in after]
        spans.append(SharedPrefixSpan(slots, ends, shape))
    if alone and arena is not None:
        longest = max(chunk.end for chunk in alone)
        if len(alone) * longest <= GATHERED_TOKENS:
            spans.append(_gathered_span(alone, longest, arena))
            alone = []
    spans += _decode_spans(alone, shape)
    spans += [PrefillSpan(chunk.row.slot, chunk.start, chunk.length, shape) for chunk in longer]
    return spans


def _gathered_span(singles: list[ScheduledTokens], longest: int, arena: Arena) -> Span:
    columns = [(chunk.start, *place_of(chunk.row.slot)) for chunk in singles]
    table = upload(list(zip(*columns, strict=True)), arena.shape.device)
    positions, starts, capacities = table
    return GatheredSpan(arena, positions, starts, capacities, longest)


def _decode_spans(chunks: list[ScheduledTokens], shape: LayerShape) -> list[Span]:
    slots, ends = [chunk.row.slot for chunk in chunks], [chunk.end for chunk in chunks]
    return [DecodeSpan(slots[rows], ends[rows], shape) for rows in neighbours(slots)]
