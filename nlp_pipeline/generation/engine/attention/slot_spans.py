"""Stretches of a packed batch: how the tokens of a step attend to the past of their sequences."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from nlp_pipeline.generation.engine.attention.masks import causal_mask, padding_mask
from nlp_pipeline.generation.engine.hf_attention import LayerShape
from nlp_pipeline.generation.engine.kv_cache.slab import Slot
from nlp_pipeline.generation.engine.transfer import upload


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


class PrefillSpan:
    """Several tokens of one sequence, after those that its slot and its prefix hold."""

    def __init__(self, slot: Slot, start: int, size: int, shape: LayerShape) -> None:
        self.size = size
        self._slots = [slot] if slot.prefix is None else [slot.prefix, slot]
        self._offset = slot.offset
        self._own = slice(start - slot.offset, start + size - slot.offset)
        self._mask = causal_mask(start, size, shape) if start else None

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """See `Span.attend`. KV heads are expanded over their query heads without a copy."""
        keys = self._past([slot.slab.keys[layer][slot.row] for slot in self._slots], key)
        values = self._past([slot.slab.values[layer][slot.row] for slot in self._slots], value)
        kv_heads, groups = key.shape[1], query.shape[1] // key.shape[1]
        past = (kv_heads, groups, *keys.shape[1:])
        attended = scaled_dot_product_attention(
            query.transpose(0, 1).unflatten(0, (kv_heads, groups)),
            keys[:, None].expand(past),
            values[:, None].expand(past),
            attn_mask=self._mask,
            is_causal=self._mask is None,
            scale=scale,
        )
        return attended.flatten(0, 1).transpose(0, 1)

    def _past(self, memories: list[Tensor], new: Tensor) -> Tensor:
        """Stores the new; returns them after all before. Shape: (kv_heads, end, head_dim)."""
        own = memories[-1]
        own[:, self._own] = new.transpose(0, 1)
        own = own[:, : self._own.stop]
        prefix = [memory[:, : self._offset] for memory in memories[:-1]]
        return torch.cat([*prefix, own], dim=1) if prefix else own


class Neighbours:
    """One token each of sequences in neighbouring rows of a slab, which can be met in one call.

    Args:
        slots: Of the sequences.
        places: Where in its slot each new token goes. Shape (size,).
    """

    def __init__(self, slots: list[Slot], places: Tensor) -> None:
        first = slots[0].row
        self._slab, self._rows = slots[0].slab, slice(first, first + len(slots))
        self._indices = torch.arange(first, first + len(slots), device=places.device)
        self._places = places

    def store(self, layer: int, key: Tensor, value: Tensor) -> None:
        """Writes the new tokens' keys and values, each of shape (size, kv_heads, head_dim)."""
        self._slab.keys[layer][self._indices, :, self._places] = key
        self._slab.values[layer][self._indices, :, self._places] = value

    def stored(self, layer: int, longest: int) -> tuple[Tensor, Tensor]:
        """Keys and values of the first `longest` places; of all, where the slots have fewer.

        Each of shape (size, kv_heads, places, head_dim).
        """
        keys, values = self._slab.keys[layer], self._slab.values[layer]
        return keys[self._rows, :, :longest], values[self._rows, :, :longest]


def neighbours(slots: list[Slot]) -> Iterator[slice]:
    """Divides slots into stretches of neighbouring rows; in order and without gaps."""
    start = 0
    for _, stretch in groupby(enumerate(slots), _line):
        stop = start + sum(1 for _ in stretch)
        yield slice(start, stop)
        start = stop


def _line(numbered: tuple[int, Slot]) -> tuple[int, int]:
    """The same for the next row of the same slab, if it is the next slot too."""
    index, slot = numbered
    return slot.slab.number, slot.row - index


class DecodeSpan:
    """One token each of sequences in neighbouring rows of a slab.

    The query heads of a KV head stand where the tokens of a query stand, so that its keys are
    read once for all of them.
    """

    def __init__(self, slots: list[Slot], lengths: list[int], shape: LayerShape) -> None:
        self.size = len(slots)
        self._longest = max(lengths)
        ends = upload(lengths, shape.device)
        self._rows = Neighbours(slots, ends - 1)
        self._mask = padding_mask(ends, self._longest, shape) if len(set(lengths)) > 1 else None

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """See `Span.attend`."""
        self._rows.store(layer, key, value)
        keys, values = self._rows.stored(layer, self._longest)
        attended = scaled_dot_product_attention(
            query.unflatten(1, (key.shape[1], -1)),
            keys,
            values,
            attn_mask=self._mask,
            scale=scale,
        )
        return attended.flatten(1, 2)
