"""Decoding after prefixes that several sequences share: each prefix is read once for all of them.

The idea is that of Hydragen (Juravsky et al., 2024): the queries of all sequences meet the common
prefix in one call, and each meets the rest of its own; the two parts are joined by the log-sum-exp
of their scores.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from nlp_pipeline.generation.engine.attention.masks import padding_mask
from nlp_pipeline.generation.engine.attention.slot_spans import Neighbours, neighbours
from nlp_pipeline.generation.engine.hf_attention import LayerShape
from nlp_pipeline.generation.engine.kv_cache.slab import Slot
from nlp_pipeline.generation.engine.transfer import upload

NEAR = 32
"""Sequences that share less than the longest of their common prefix by so much are apart."""


class SharedPrefixSpan:
    """One token each of sequences whose slots follow others.

    Below, r are rows in the order of their slots, h KV heads, g the query heads of one. Calls
    with a prefix take the rows in the order of the prefixes.

    Args:
        slots: In neighbouring order as far as possible.
        lengths: Tokens of each sequence, the new one counted.
        shape: What a layer keeps.
    """

    def __init__(self, slots: list[Slot], lengths: list[int], shape: LayerShape) -> None:
        self.size, self._kv_heads = len(slots), shape.kv_heads
        own = [length - slot.offset for slot, length in zip(slots, lengths, strict=True)]
        stretches = list(neighbours(slots))
        self._rests = [_Rest(slots[rows], own[rows], rows.start, shape=shape) for rows in stretches]
        order = sorted(range(self.size), key=lambda row: _beginning(slots[row]))
        self._prefixes = list(_prefixes([slots[row] for row in order], shape))
        self._order = upload(order, shape.device)
        self._slot_order = self._order.argsort()

    def attend(self, layer: int, query: Tensor, scale: float, output: Tensor) -> None:
        """See `slot_spans.Span.attend`."""
        queries = query.unflatten(1, (self._kv_heads, -1))  # r h g d
        by_prefix = queries[self._order].transpose(0, 1)  # h r g d
        rests = [rest.attend(layer, queries, scale) for rest in self._rests]
        prefixes = [prefix.attend(layer, by_prefix, scale) for prefix in self._prefixes]
        of_rest, sum_of_rest = (torch.cat(parts) for parts in zip(*rests, strict=True))
        of_prefix, sum_of_prefix = (
            self._by_slot(torch.cat(parts, dim=1)) for parts in zip(*prefixes, strict=True)
        )
        share = (sum_of_prefix - sum_of_rest).sigmoid_()[..., None].to(query.dtype)
        output.copy_(of_rest.lerp_(of_prefix, share).flatten(1, 2))

    def _by_slot(self, tensor: Tensor) -> Tensor:
        """From (h, r * g, …) in the order of prefixes to (r, h, g, …) in that of slots."""
        rows: Tensor = tensor.unflatten(1, (self.size, -1)).transpose(0, 1)
        return rows[self._slot_order]


class _Rest:
    """What sequences in neighbouring rows of a slab have after their prefixes.

    Args:
        slots: One per row.
        lengths: Tokens of each after its prefix.
        start: The first of the rows in the span.
        shape: What a layer keeps.
    """

    def __init__(
        self, slots: list[Slot], lengths: list[int], start: int, shape: LayerShape
    ) -> None:
        self._rows, self._longest = slice(start, start + len(slots)), max(lengths)
        self._neighbours = Neighbours(slots)
        self._mask = padding_mask(upload(lengths, shape.device), self._longest, shape)

    def attend(self, layer: int, queries: Tensor, scale: float) -> tuple[Tensor, Tensor]:
        """Of these rows, shape (rows, h, g, d), and the log-sum-exp of the scores.

        Args:
            layer: 0-based index.
            queries: Of all rows of the span. Shape (r, h, g, d).
            scale: Of the scores.
        """
        keys, values = self._neighbours.stored(layer, self._longest)
        return _attended(queries[self._rows], keys, values, self._mask, scale)


class _Prefix:
    """Sequences that begin with the same tokens, or nearly as many of them.

    Args:
        slots: One per row.
        start: The first of the rows in the order of the prefixes.
        shape: What a layer keeps.
    """

    def __init__(self, slots: list[Slot], start: int, shape: LayerShape) -> None:
        offsets = [slot.offset for slot in slots]
        self._rows, self._longest = slice(start, start + len(slots)), max(offsets)
        self._slot = _prefix_of(slots[0])
        self._mask = None
        if min(offsets) < self._longest:
            self._mask = padding_mask(upload(offsets, shape.device), self._longest, shape)[:, 0]

    def attend(self, layer: int, queries: Tensor, scale: float) -> tuple[Tensor, Tensor]:
        """Of these rows, shape (h, rows * g, d), and the log-sum-exp of the scores.

        Args:
            layer: 0-based index.
            queries: Of all rows, in the order of the prefixes. Shape (h, r, g, d).
            scale: Of the scores.
        """
        keys, values = self._slot.slab.memory[layer][:, None, self._slot.row, :, : self._longest]
        mask = None
        if self._mask is not None:
            mask = self._mask.expand(-1, queries.shape[2], -1).flatten(0, 1)
        lines = queries[:, self._rows].flatten(1, 2)[None]
        attended, log_sums = _attended(lines, keys, values, mask, scale)
        return attended[0], log_sums[0]


def _attended(
    query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, scale: float
) -> tuple[Tensor, Tensor]:
    """Attention, and the log-sum-exp of the scores, by which two parts of it can be joined.

    What `scaled_dot_product_attention` calls on a CPU, which keeps the second to itself.

    Args:
        query: Shape (rows, h, lines, d).
        keys: Shape (rows, h, tokens, d).
        values: Like the keys.
        mask: Added to the scores. Shape that can be broadcast to (rows, h, lines, tokens).
        scale: Of the scores.

    Returns:
        Shapes (rows, h, lines, d) and (rows, h, lines).
    """
    attended, log_sums = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        query, keys, values, attn_mask=mask, scale=scale
    )
    return attended, log_sums


def _prefixes(slots: list[Slot], shape: LayerShape) -> Iterator[_Prefix]:
    start = 0
    for stop in range(1, len(slots) + 1):
        if stop == len(slots) or not _near(slots[start], slots[stop]):
            yield _Prefix(slots[start:stop], start, shape)
            start = stop


def _beginning(slot: Slot) -> tuple[int, int, int]:
    """Orders slots by what they follow; the same in all processes that share a model."""
    return (*_prefix_of(slot).place, slot.offset)


def _prefix_of(slot: Slot) -> Slot:
    assert slot.prefix is not None, "only slots that follow one are here"
    return slot.prefix


def _near(first: Slot, slot: Slot) -> bool:
    return slot.prefix is first.prefix and slot.offset - first.offset < NEAR
