"""One step over slots: which tokens go in, and how each attends to its own past."""

from __future__ import annotations

from itertools import accumulate, groupby

import torch
from torch import Tensor

from nlp_pipeline.generation.engine.attention.reference_body import ReferenceBody, rotate
from nlp_pipeline.generation.engine.attention.shared_prefix import SharedPrefixSpan
from nlp_pipeline.generation.engine.attention.slot_spans import (
    DecodeSpan,
    DecodeStore,
    PrefillSpan,
    PrefillStore,
    Span,
    Store,
    neighbours,
)
from nlp_pipeline.generation.engine.hf_attention import LayerShape
from nlp_pipeline.generation.engine.scheduled_tokens import ScheduledTokens
from nlp_pipeline.generation.engine.transfer import upload


class PackedBatch:
    """The tokens of one forward pass, one after the other, and the spans they attend in.

    A `StepBatch` over the slots of slabs.

    Args:
        chunks: In any order; `chunks` of the batch says in which they were packed.
        shape: What a layer keeps, and where.
    """

    def __init__(self, chunks: list[ScheduledTokens], shape: LayerShape) -> None:
        self.chunks = sorted(chunks, key=_packing_order)
        ids = [i for c in self.chunks for i in c.tokens]
        positions = [i for c in self.chunks for i in range(c.start, c.end)]
        self.ids, self.positions = upload([ids, positions], shape.device).unsqueeze(1)
        self.ends = [end - 1 for end in accumulate(chunk.length for chunk in self.chunks)]
        places = zip(self.ends, self.chunks, strict=True)
        self.unread = {end: chunk.state for end, chunk in places if chunk.unread}
        self.body = ReferenceBody()
        self._shape = shape
        self._stores = _stores(self.chunks, shape)
        self._spans = _spans(self.chunks, shape)

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """See `hf_attention.PackedAttention`; there heads come before tokens."""
        new = torch.stack([key[0], value[0]]).permute(2, 0, 1, 3)
        return self._attended(layer, query[0].transpose(0, 1), new, scale)[None]

    def rotate_and_attend(
        self, layer: int, qkv: Tensor, angles: tuple[Tensor, Tensor], heads: int, scale: float
    ) -> Tensor:
        """See `fused_decoder.FusedBatch`."""
        kv_heads = self._shape.kv_heads
        parts = qkv.unflatten(1, (-1, self._shape.head_dim))
        rotate(parts[:, : heads + kv_heads], *angles)
        new = parts[:, heads:].unflatten(1, (2, kv_heads))
        return self._attended(layer, parts[:, :heads], new, scale)

    def _attended(self, layer: int, query: Tensor, new: Tensor, scale: float) -> Tensor:
        """Stores the new keys and values, and every span attends for itself.

        Args:
            layer: 0-based index.
            query: Shape (T, heads, head_dim).
            new: Keys and values side by side. Shape (T, 2, kv_heads, head_dim).
            scale: Of the scores.

        Returns:
            Shape (T, heads, head_dim).
        """
        start = 0
        for store in self._stores:
            store.store(layer, new[start : start + store.size])
            start += store.size
        output, start = query.new_empty(query.shape), 0
        for span in self._spans:
            tokens = slice(start, start + span.size)
            span.attend(layer, query[tokens], scale, output[tokens])
            start += span.size
        return output


def _packing_order(chunk: ScheduledTokens) -> tuple[bool, bool, tuple[int, int]]:
    """Single tokens first, those after a prefix before others, neighbours side by side."""
    slot = chunk.state.slot
    return chunk.length > 1, slot.prefix is None, slot.place


def _stores(chunks: list[ScheduledTokens], shape: LayerShape) -> list[Store]:
    """One for single tokens that go to the same slab, and one for every longer chunk."""
    stores: list[Store] = []
    for (single, _), stretch in groupby(chunks, _store_key):
        if single:
            stretch_chunks = list(stretch)
            slots = [chunk.state.slot for chunk in stretch_chunks]
            stores.append(DecodeStore(slots, [chunk.start for chunk in stretch_chunks], shape))
        else:
            stores += [PrefillStore(c.state.slot, c.start, c.length) for c in stretch]
    return stores


def _store_key(chunk: ScheduledTokens) -> tuple[bool, int]:
    return chunk.length == 1, chunk.state.slot.slab.number


def _spans(chunks: list[ScheduledTokens], shape: LayerShape) -> list[Span]:
    """Of single tokens those after a prefix are one span, and those in neighbouring rows one each.

    Every longer chunk is one.
    """
    singles = [chunk for chunk in chunks if chunk.length == 1]
    longer = chunks[len(singles) :]
    following = [chunk for chunk in singles if chunk.state.slot.prefix is not None]
    spans: list[Span] = []
    if following:
        slots, ends = [chunk.state.slot for chunk in following], [chunk.end for chunk in following]
        spans.append(SharedPrefixSpan(slots, ends, shape))
    spans += _decode_spans(singles[len(following) :], shape)
    spans += [
        PrefillSpan(chunk.state.slot, chunk.start, chunk.length, shape=shape) for chunk in longer
    ]
    return spans


def _decode_spans(chunks: list[ScheduledTokens], shape: LayerShape) -> list[Span]:
    slots, ends = [chunk.state.slot for chunk in chunks], [chunk.end for chunk in chunks]
    return [DecodeSpan(slots[rows], ends[rows], shape) for rows in neighbours(slots)]
