"""Decoding of sequences that begin alike: the keys and values of the beginning are read once.

The idea is that of Hydragen (Juravsky et al., 2024): the queries of all sequences meet the common
prefix in one matrix product, and each meets the rest of its own. There the two parts are joined by
their log-sum-exp; with few rows the scores are small enough to stand side by side under one
softmax, which needs no joining.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nlp_pipeline.generation.engine.attention import LayerShape
from nlp_pipeline.generation.engine.masks import padding_mask
from nlp_pipeline.generation.engine.prefixes import common_prefix
from nlp_pipeline.generation.engine.slots import Slab

SHARED_TOKENS = 96
"""A shorter common prefix is not worth a span of its own."""

SHARING_ROWS = 3
"""Nor is one of fewer sequences. (Measured on a CPU: 4 rows over 350 tokens in 0.6 of the time, 20
in 0.4.)"""


def runs_that_share(known: list[list[int]], reused: list[int]) -> list[tuple[int, int, int]]:
    """Divides neighbouring sequences into those that begin alike and the rest between them.

    Args:
        known: Their tokens that have keys and values.
        reused: How many of them were not computed for the sequence itself.

    Returns:
        Start, stop and length of the common prefix, 0 for none; in order and without gaps.
    """
    found: list[tuple[int, int, int]] = []
    alone = start = 0
    while start < len(known):
        stop, shared = start + 1, len(known[start])
        while stop < len(known):
            common = common_prefix(known[start][: min(shared, reused[stop])], known[stop])
            if common < SHARED_TOKENS:
                break
            stop, shared = stop + 1, common
        if stop - start < SHARING_ROWS:
            start += 1
            continue
        found += [(alone, start, 0)] if alone < start else []
        found.append((start, stop, shared))
        alone = start = stop
    return [*found, (alone, len(known), 0)] if alone < len(known) else found


class SharedSpan:
    """One token each of sequences in neighbouring rows of a slab that begin with the same tokens.

    Equal to `DecodeSpan` but for the order of additions.

    Args:
        slab: Where the rows are.
        first: Row of the first.
        lengths: Tokens of each, the new one counted.
        shared: Tokens that all begin with; fewer than any of `lengths`.
        shape: What a layer keeps.
    """

    def __init__(
        self, slab: Slab, first: int, lengths: list[int], shared: int, shape: LayerShape
    ) -> None:
        self.size = len(lengths)
        self._slab, self._first = slab, first
        self._shared, self._longest = shared, max(lengths)
        ends = torch.tensor(lengths, device=shape.device)
        self._indices = torch.arange(first, first + self.size, device=shape.device)
        self._positions = ends - 1
        self._mask = padding_mask(ends - shared, self._longest - shared, shape)

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """See `batch.Span.attend`. Below, r are rows, h KV heads, g the query heads of one."""
        keys, values = self._slab.keys[layer], self._slab.values[layer]
        keys[self._indices, :, self._positions] = key
        values[self._indices, :, self._positions] = value
        rows = slice(self._first, self._first + self.size)
        shared, own = slice(self._shared), slice(self._shared, self._longest)
        queries = query.unflatten(1, (key.shape[1], -1)) * scale  # r h g d
        common = self._together(queries) @ keys[self._first, :, shared].transpose(1, 2)
        rest = queries @ keys[rows, :, own].transpose(2, 3)
        scores = torch.cat([self._apart(common), rest + self._mask], dim=-1)
        weights = scores.softmax(dim=-1)
        attended = self._together(weights[..., shared]) @ values[self._first, :, shared]
        attended = self._apart(attended) + weights[..., self._shared :] @ values[rows, :, own]
        return attended.flatten(1, 2)

    def _together(self, tensor: Tensor) -> Tensor:
        """From (r, h, g, n) to (h, r * g, n)."""
        return tensor.transpose(0, 1).flatten(1, 2)

    def _apart(self, tensor: Tensor) -> Tensor:
        """Back again."""
        rows: Tensor = tensor.unflatten(1, (self.size, -1))
        return rows.transpose(0, 1)
