"""Decode attention over slots anywhere in an arena: nothing but sizes depends on the host."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from nlp_pipeline.generation.engine.attention.masks import padding_mask
from nlp_pipeline.generation.engine.kv_cache.arena import Arena
from nlp_pipeline.generation.engine.kv_cache.slab import Slot

GATHERED_TOKENS = 2**17
"""Rows times positions that are gathered at most: a layer's copy of them has to fit beside all."""


def place_of(slot: Slot) -> tuple[int, int]:
    """A slot's first token in the arena and its capacity."""
    return slot.slab.start + slot.row * slot.capacity, slot.capacity


class GatheredSpan:
    """One token each of sequences in any slots of an arena.

    The keys and values that are attended over are gathered into one piece first: three times the
    traffic of reading them where they are, for one call instead of one per stretch of neighbours.
    Positions beyond a row's own read its last one again, and are masked: what is in the rest of
    the arena does not matter.

    Args:
        arena: Where the slots are.
        positions: Of the new tokens. Shape (size,), like the next two; all on the device.
        starts: The slots' first tokens in the arena.
        capacities: The slots' capacities.
        longest: More than every position.
    """

    def __init__(
        self, arena: Arena, positions: Tensor, starts: Tensor, capacities: Tensor, longest: int
    ) -> None:
        self.size = len(positions)
        self._arena = arena
        heads = arena.shape.kv_heads
        head = torch.arange(heads, device=positions.device)
        first = starts[:, None] * heads + head * capacities[:, None]
        past = torch.arange(longest, device=positions.device).minimum(positions[:, None])
        self._written = (first + positions[:, None]).flatten()
        self._read = (first[..., None] + past[:, None]).flatten()
        self._past = (self.size, heads, longest, arena.shape.head_dim)
        self._mask = padding_mask(positions + 1, longest, arena.shape)

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """See `batch.Span.attend`."""
        keys, values = self._arena.keys[layer], self._arena.values[layer]
        keys.index_copy_(0, self._written, key.flatten(0, 1))
        values.index_copy_(0, self._written, value.flatten(0, 1))
        attended = scaled_dot_product_attention(
            query.unflatten(1, (key.shape[1], -1)),
            keys.index_select(0, self._read).view(self._past),
            values.index_select(0, self._read).view(self._past),
            attn_mask=self._mask,
            scale=scale,
        )
        return attended.flatten(1, 2)
