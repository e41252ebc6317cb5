"""The packed batch of one step: which tokens go in, and how each attends to its own past."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from nlp_pipeline.generation.engine.arena import Arena
from nlp_pipeline.generation.engine.attention import LayerShape
from nlp_pipeline.generation.engine.gathered import GATHERED_TOKENS, GatheredSpan, place_of
from nlp_pipeline.generation.engine.masks import causal_mask, padding_mask
from nlp_pipeline.generation.engine.row import Row
from nlp_pipeline.generation.engine.shared import SharedSpan, runs_that_share
from nlp_pipeline.generation.engine.slots import Slab, Slot
from nlp_pipeline.generation.engine.transfer import upload


@dataclass(frozen=True, slots=True)
class Chunk:
    """What a row computes in one step: its tokens from `slot.computed` on, `length` of them."""

    row: Row
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
    def place(self) -> tuple[bool, int, int]:
        """Single tokens first, neighbours of one slab side by side."""
        return self.length > 1, self.row.slot.slab.number, self.row.slot.row


class Span(Protocol):
    """A stretch of the packed batch that attends in one call."""

    size: int
    """Tokens of the packed batch."""

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """Stores the new keys and values, and attends over the old and the new.

        Args:
            layer: 0-based index.
            query: Shape (size, heads, head_dim).
            key: Shape (size, kv_heads, head_dim).
            value: Shape (size, kv_heads, head_dim).
            scale: Of the scores.

        Returns:
            Shape (size, heads, head_dim).
        """
        ...


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
        chunks: list[Chunk],
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
        """Every span for itself; see `attention.AttendsPacked`."""
        parts = (tensor[0].transpose(0, 1).split(self._sizes) for tensor in (query, key, value))
        outputs = [
            span.attend(layer, q, k, v, scale)
            for span, q, k, v in zip(self._spans, *parts, strict=True)
        ]
        return torch.cat(outputs).unsqueeze(0)


class PrefillSpan:
    """Several tokens of one sequence, after those that its slot holds."""

    def __init__(self, slot: Slot, start: int, size: int, shape: LayerShape) -> None:
        self.size = size
        self._slot, self._start, self._end = slot, start, start + size
        self._mask = causal_mask(start, size, shape) if start else None

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """See `Span.attend`. KV heads are expanded over their query heads without a copy."""
        keys = self._slot.slab.keys[layer][self._slot.row]
        values = self._slot.slab.values[layer][self._slot.row]
        keys[:, self._start : self._end] = key.transpose(0, 1)
        values[:, self._start : self._end] = value.transpose(0, 1)
        kv_heads, groups = key.shape[1], query.shape[1] // key.shape[1]
        past = (kv_heads, groups, self._end, keys.shape[-1])
        attended = scaled_dot_product_attention(
            query.transpose(0, 1).unflatten(0, (kv_heads, groups)),
            keys[:, None, : self._end].expand(past),
            values[:, None, : self._end].expand(past),
            attn_mask=self._mask,
            is_causal=self._mask is None,
            scale=scale,
        )
        return attended.flatten(0, 1).transpose(0, 1)


class DecodeSpan:
    """One token each of sequences in neighbouring rows of a slab.

    The query heads of a KV head stand where the tokens of a query stand, so that its keys are
    read once for all of them.
    """

    def __init__(self, slab: Slab, first: int, lengths: list[int], shape: LayerShape) -> None:
        self.size = len(lengths)
        self._slab, self._rows = slab, slice(first, first + self.size)
        self._longest = max(lengths)
        ends = upload(lengths, shape.device)
        self._indices = torch.arange(first, first + self.size, device=shape.device)
        self._positions = ends - 1
        self._mask = padding_mask(ends, self._longest, shape) if len(set(lengths)) > 1 else None

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """See `Span.attend`."""
        keys, values = self._slab.keys[layer], self._slab.values[layer]
        keys[self._indices, :, self._positions] = key
        values[self._indices, :, self._positions] = value
        attended = scaled_dot_product_attention(
            query.unflatten(1, (key.shape[1], -1)),
            keys[self._rows, :, : self._longest],
            values[self._rows, :, : self._longest],
            attn_mask=self._mask,
            scale=scale,
        )
        return attended.flatten(1, 2)


def _spans(chunks: list[Chunk], shape: LayerShape, arena: Arena | None) -> list[Span]:
    """Single tokens in neighbouring rows become one span; every longer chunk is one.

    In an arena all single tokens are one span, unless too much would have to be gathered.
    """
    spans: list[Span] = []
    singles = [chunk for chunk in chunks if chunk.length == 1]
    if arena is not None and singles:
        longest = max(chunk.end for chunk in singles)
        if len(singles) * longest <= GATHERED_TOKENS:
            spans.append(_gathered_span(singles, longest, arena))
            chunks = chunks[len(singles) :]
    run: list[Chunk] = []
    for chunk in chunks:
        if run and not _follows(run[-1], chunk):
            spans += _decode_spans(run, shape)
            run = []
        if chunk.length == 1:
            run.append(chunk)
        else:
            spans.append(PrefillSpan(chunk.row.slot, chunk.start, chunk.length, shape))
    return [*spans, *_decode_spans(run, shape)] if run else spans


def _gathered_span(singles: list[Chunk], longest: int, arena: Arena) -> Span:
    columns = [(chunk.start, *place_of(chunk.row.slot)) for chunk in singles]
    table = upload(list(zip(*columns, strict=True)), arena.shape.device)
    positions, starts, capacities = table
    return GatheredSpan(arena, positions, starts, capacities, longest)


def _follows(before: Chunk, chunk: Chunk) -> bool:
    ours, theirs = chunk.row.slot, before.row.slot
    return chunk.length == 1 and ours.slab is theirs.slab and ours.row == theirs.row + 1


def _decode_spans(run: list[Chunk], shape: LayerShape) -> list[Span]:
    """Neighbouring single tokens; apart from the others those of sequences that begin alike."""
    first = run[0].row.slot
    parts = [(0, len(run), 0)]
    if shape.device.type == "cpu":  # elsewhere it was not measured
        known = [chunk.row.tokens[: chunk.start] for chunk in run]
        parts = runs_that_share(known, [chunk.row.slot.reused for chunk in run])
    ends = [chunk.end for chunk in run]
    return [
        SharedSpan(first.slab, first.row + start, ends[start:stop], shared, shape)
        if shared
        else DecodeSpan(first.slab, first.row + start, ends[start:stop], shape)
        for start, stop, shared in parts
    ]
