"""One step over slots: which tokens go in, and how each attends to its own past."""

from __future__ import annotations

from itertools import accumulate

import torch
from torch import Tensor

from nlp_pipeline.generation.engine.attention.reference_body import ReferenceBody, rotated
from nlp_pipeline.generation.engine.attention.shared_prefix import SharedPrefixSpan
from nlp_pipeline.generation.engine.attention.slot_spans import (
    DecodeSpan,
    PrefillSpan,
    Span,
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
        self._spans = _spans(self.chunks, shape)
        self._sizes = [span.size for span in self._spans]

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """See `hf_attention.PackedAttention`; there heads come before tokens."""
        query, key, value = (tensor[0].transpose(0, 1) for tensor in (query, key, value))
        return self._attended(layer, query, key, value, scale)[None]

    def rotate_and_attend(
        self, layer: int, qkv: Tensor, angles: tuple[Tensor, Tensor], heads: int, scale: float
    ) -> Tensor:
        """See `fused_decoder.FusedBatch`."""
        shape, (cos, sin) = self._shape, angles
        sizes = [heads, shape.kv_heads, shape.kv_heads]
        query, key, value = qkv.unflatten(1, (-1, shape.head_dim)).split(sizes, 1)
        query, key = rotated(query, cos, sin), rotated(key, cos, sin)
        return self._attended(layer, query, key, value, scale)

    def _attended(
        self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float
    ) -> Tensor:
        """Every span for itself. Shapes: (T, heads, head_dim), KV heads for key and value."""
        parts = (tensor.split(self._sizes) for tensor in (query, key, value))
        outputs = [
            span.attend(layer, q, k, v, scale)
            for span, q, k, v in zip(self._spans, *parts, strict=True)
        ]
        return torch.cat(outputs)


def _packing_order(chunk: ScheduledTokens) -> tuple[bool, bool, tuple[int, int]]:
    """Single tokens first, those after a prefix before others, neighbours side by side."""
    slot = chunk.state.slot
    return chunk.length > 1, slot.prefix is None, slot.place


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
