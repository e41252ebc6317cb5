"""One piece of memory per layer that all slabs are cut out of: what was recorded stays valid."""

from __future__ import annotations

import torch
from torch import Tensor

from nlp_pipeline.generation.engine.hf_attention import LayerShape


class Arena:
    """Keys and values of all tokens of a pool; taken at once, and never given back.

    A layer's keys are lines of shape (head_dim,). What starts at token s and is `capacity` tokens
    long has KV head h at position p in line `s * kv_heads + h * capacity + p`, so that a row of a
    slab is a contiguous piece.

    Args:
        layers: What the layers keep; all the same.
        tokens: How many there is room for. One more is kept apart, for rows that are none.

    Attributes:
        keys: Per layer; shape ((tokens + 1) * kv_heads, head_dim). Zeros at first, as of a `Slab`.
        values: Likewise.
        scratch: The token that nobody reads.
    """

    def __init__(self, layers: list[LayerShape], tokens: int) -> None:
        self.shape = layers[0]
        self.keys = [self._lines(tokens + 1) for _ in layers]
        self.values = [self._lines(tokens + 1) for _ in layers]
        self.scratch = tokens
        self._free = [(0, tokens)]

    def _lines(self, tokens: int) -> Tensor:
        shape = self.shape
        lines = (tokens * shape.kv_heads, shape.head_dim)
        return torch.zeros(lines, dtype=shape.dtype, device=shape.device)

    @property
    def largest(self) -> int:
        """The longest stretch of tokens that can be taken."""
        return max((length for _, length in self._free), default=0)

    def take(self, tokens: int) -> int:
        """The first token of a stretch that is the caller's from now on.

        Raises:
            MemoryError: There is none so long.
        """
        for place, (start, length) in enumerate(self._free):
            if length >= tokens:
                rest = [(start + tokens, length - tokens)] if length > tokens else []
                self._free[place : place + 1] = rest
                return start
        raise MemoryError(f"no stretch of {tokens} tokens is free, {self.largest} are")

    def give_back(self, start: int, tokens: int) -> None:
        """Makes a stretch free again, and one with its free neighbours."""
        merged: list[tuple[int, int]] = []
        for first, length in sorted([*self._free, (start, tokens)]):
            if merged and sum(merged[-1]) == first:
                first, length = merged[-1][0], merged.pop()[1] + length
            merged.append((first, length))
        self._free = merged

    def rows(self, start: int, rows: int, capacity: int) -> tuple[list[Tensor], list[Tensor]]:
        """Keys and values of a stretch per layer, each of shape (rows, kv_heads, capacity, …)."""
        heads = self.shape.kv_heads
        lines = slice(start * heads, (start + rows * capacity) * heads)
        keys, values = (
            [layer[lines].view(rows, heads, capacity, -1) for layer in memory]
            for memory in (self.keys, self.values)
        )
        return keys, values
