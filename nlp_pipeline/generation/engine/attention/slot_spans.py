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

    def attend(self, layer: int, query: Tensor, scale: float, output: Tensor) -> None:
        """Attends over the keys and values in the slots, those of the new tokens too.

        Args:
            layer: 0-based index.
            query: Shape (size, heads, head_dim).
            scale: Of the scores.
            output: Written to. Shape (size, heads, head_dim).
        """
        ...


class Store(Protocol):
    """Where the new keys and values of a stretch of the packed batch go."""

    size: int
    """Tokens of the packed batch."""

    def store(self, layer: int, new: Tensor) -> None:
        """Writes them.

        Args:
            layer: 0-based index.
            new: Keys and values side by side. Shape (size, 2, kv_heads, head_dim).
        """
        ...


class PrefillStore:
    """Several tokens of one sequence go side by side into its slot."""

    def __init__(self, slot: Slot, start: int, size: int) -> None:
        self.size = size
        self._slot = slot
        self._places = slice(start - slot.offset, start + size - slot.offset)

    def store(self, layer: int, new: Tensor) -> None:
        """See `Store.store`."""
        self._slot.slab.memory[layer][:, self._slot.row, :, self._places] = new.permute(1, 2, 0, 3)


class DecodeStore:
    """One token each of sequences in one slab, at any positions."""

    def __init__(self, slots: list[Slot], positions: list[int], shape: LayerShape) -> None:
        self.size = len(slots)
        self._slab = slots[0].slab
        places = [at - slot.offset for slot, at in zip(slots, positions, strict=True)]
        self._rows, self._places = upload([[slot.row for slot in slots], places], shape.device)

    def store(self, layer: int, new: Tensor) -> None:
        """See `Store.store`."""
        self._slab.memory[layer][:, self._rows, :, self._places] = new


class PrefillSpan:
    """Several tokens of one sequence, after those that its slot and its prefix hold."""

    def __init__(self, slot: Slot, start: int, size: int, shape: LayerShape) -> None:
        self.size = size
        self._slot, self._stop = slot, start + size - slot.offset
        self._mask = causal_mask(start, size, shape) if start else None

    def attend(self, layer: int, query: Tensor, scale: float, output: Tensor) -> None:
        """See `Span.attend`. KV heads are expanded over their query heads without a copy."""
        keys, values = self._past(layer)
        kv_heads, groups = len(keys), query.shape[1] // len(keys)
        past = (kv_heads, groups, *keys.shape[1:])
        attended = scaled_dot_product_attention(
            query.transpose(0, 1).unflatten(0, (kv_heads, groups)),
            keys[:, None].expand(past),
            values[:, None].expand(past),
            attn_mask=self._mask,
            is_causal=self._mask is None,
            scale=scale,
        )
        output.unflatten(1, (kv_heads, groups)).copy_(attended.permute(2, 0, 1, 3))

    def _past(self, layer: int) -> Tensor:
        """Keys and values up to the last new token. Shape: (2, kv_heads, end, head_dim)."""
        slot = self._slot
        own = slot.slab.memory[layer][:, slot.row, :, : self._stop]
        if slot.prefix is None:
            return own
        prefix = slot.prefix.slab.memory[layer][:, slot.prefix.row, :, : slot.offset]
        return torch.cat([prefix, own], dim=2)


class Neighbours:
    """Sequences in neighbouring rows of a slab, which can be met in one call."""

    def __init__(self, slots: list[Slot]) -> None:
        first = slots[0].row
        self._slab, self._rows = slots[0].slab, slice(first, first + len(slots))

    def stored(self, layer: int, longest: int) -> Tensor:
        """Keys and values of the first `longest` places; of all, where the slots have fewer.

        Shape (2, rows, kv_heads, places, head_dim).
        """
        return self._slab.memory[layer][:, self._rows, :, :longest]


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
        self._rows = Neighbours(slots)
        self._mask = None
        if len(set(lengths)) > 1:
            self._mask = padding_mask(upload(lengths, shape.device), self._longest, shape)

    def attend(self, layer: int, query: Tensor, scale: float, output: Tensor) -> None:
        """See `Span.attend`."""
        keys, values = self._rows.stored(layer, self._longest)
        grouped = (keys.shape[1], query.shape[1] // keys.shape[1])
        attended = scaled_dot_product_attention(
            query.unflatten(1, grouped), keys, values, attn_mask=self._mask, scale=scale
        )
        output.unflatten(1, grouped).copy_(attended)
