"""Decoding after prefixes that several sequences share: each prefix is read once for all of them.

The idea is that of Hydragen (Juravsky et al., 2024): the queries of all sequences meet the common
prefix in one matrix product, and each meets the rest of its own. There the two parts are joined by
their log-sum-exp; with few rows the scores are small enough to stand side by side under one
softmax, which needs no joining.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import pad

from nlp_pipeline.generation.engine.attention.masks import padding_mask
from nlp_pipeline.generation.engine.attention.slot_spans import Neighbours, neighbours
from nlp_pipeline.generation.engine.hf_attention import LayerShape
from nlp_pipeline.generation.engine.kv_cache.slab import Slot
from nlp_pipeline.generation.engine.transfer import upload

NEAR = 32
"""Sequences that share less than the longest of their common prefix by so much are apart."""


class SharedPrefixSpan:
    """One token each of sequences whose slots follow others.

    Below, r are rows in the order of their slots, h KV heads, g the query heads of one. Products
    with a prefix take the rows in the order of the prefixes.

    Args:
        slots: In neighbouring order as far as possible.
        lengths: Tokens of each sequence, the new one counted.
        shape: What a layer keeps.
    """

    def __init__(self, slots: list[Slot], lengths: list[int], shape: LayerShape) -> None:
        self.size, self._kv_heads = len(slots), shape.kv_heads
        own = [length - slot.offset for slot, length in zip(slots, lengths, strict=True)]
        self._longest = max(own)
        ends = upload(own, shape.device)
        self._mask = padding_mask(ends, self._longest, shape)
        self._runs = [(rows, Neighbours(slots[rows])) for rows in neighbours(slots)]
        order = sorted(range(self.size), key=lambda row: _beginning(slots[row]))
        self._prefixes = list(_prefixes([slots[row] for row in order], shape))
        self._order = upload(order, shape.device)
        self._slot_order = self._order.argsort()

    def attend(self, layer: int, query: Tensor, scale: float, output: Tensor) -> None:
        """See `slot_spans.Span.attend`."""
        queries = query.unflatten(1, (self._kv_heads, -1)) * scale  # r h g d
        parts = []
        for rows, run in self._runs:
            keys, _ = run.stored(layer, self._longest)
            # After slots with fewer places come zeros, which the mask hides.
            parts.append(pad(queries[rows] @ keys.mT, (0, self._longest - keys.shape[2])))
        own = self._by_prefix(torch.cat(parts) + self._mask)
        queries = self._by_prefix(queries)
        groups = queries.shape[1] // self.size
        attended, weights = [], []
        for prefix in self._prefixes:
            lines = slice(prefix.start * groups, prefix.stop * groups)
            common = prefix.scores(layer, queries[:, lines])
            scores = torch.cat([common, own[:, lines]], dim=-1).softmax(dim=-1)
            attended.append(prefix.attended(layer, scores))
            weights.append(scores[..., prefix.longest :])
        of_prefixes = self._by_slot(torch.cat(attended, dim=1))
        rest = self._by_slot(torch.cat(weights, dim=1))
        for rows, run in self._runs:
            _, values = run.stored(layer, self._longest)
            of_prefixes[rows] += rest[rows][..., : values.shape[2]] @ values
        output.copy_(of_prefixes.flatten(1, 2))

    def _by_prefix(self, tensor: Tensor) -> Tensor:
        """From (r, h, g, n) to (h, r * g, n), rows with one prefix side by side."""
        return tensor[self._order].transpose(0, 1).flatten(1, 2)

    def _by_slot(self, tensor: Tensor) -> Tensor:
        """Reorders rows from the order of groups to that of slots."""
        rows: Tensor = tensor.unflatten(1, (self.size, -1)).transpose(0, 1)
        return rows[self._slot_order]


class _Prefix:
    """Sequences that begin with the same tokens, or nearly as many of them."""

    def __init__(self, slots: list[Slot], start: int, shape: LayerShape) -> None:
        self.start, self.stop = start, start + len(slots)
        offsets = [slot.offset for slot in slots]
        self.longest = max(offsets)
        self._slot = _prefix_of(slots[0])
        self._mask = None
        if min(offsets) < self.longest:
            ends = upload(offsets, shape.device)
            self._mask = padding_mask(ends, self.longest, shape)[:, 0]

    def scores(self, layer: int, queries: Tensor) -> Tensor:
        """Of shape (h, lines, longest), for queries of shape (h, lines, d)."""
        slot = self._slot
        scores: Tensor = queries @ slot.slab.memory[layer][0, slot.row, :, : self.longest].mT
        if self._mask is not None:
            scores.unflatten(1, (self.stop - self.start, -1)).add_(self._mask)
        return scores

    def attended(self, layer: int, weights: Tensor) -> Tensor:
        """Of shape (h, lines, d), for the weights of all tokens."""
        slot = self._slot
        values = slot.slab.memory[layer][1, slot.row, :, : self.longest]
        return weights[..., : self.longest] @ values


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
