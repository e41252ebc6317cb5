"""Attention over pages, and what stands around it in a layer, in torch's own operations.

What the Triton body is compared with; and what runs where there is no Triton.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention, silu

if TYPE_CHECKING:
    from nlp_pipeline.generation.engine.attention.paged_batch import PagedStep


class ReferenceBody:
    """See `bodies.AttentionBody`."""

    name = "reference"

    def store(self, memory: Tensor, key: Tensor, value: Tensor, slots: Tensor) -> None:
        """See `AttentionBody.store`."""
        page = memory.shape[3]
        slots = slots.long()
        page_ids, offsets = slots // page, slots % page
        memory[0][page_ids, :, offsets] = key
        memory[1][page_ids, :, offsets] = value

    def attend(self, memory: Tensor, query: Tensor, step: PagedStep, scale: float) -> Tensor:
        """See `AttentionBody.attend`."""
        parts = []
        if step.decoding:
            single = query[: step.decoding]
            lengths = step.positions[: step.decoding] + 1
            tables = step.tables[:, : step.blocks].index_select(0, step.rows)
            parts.append(_decode(memory, single, lengths, tables, scale))
        for span in step.spans:
            tokens = query[span.token : span.token + span.length]
            table = step.tables[span.row]
            parts.append(_prefill(memory, tokens, span.position, table, scale))
        return torch.cat(parts)

    def rotate_and_store(
        self, memory: Tensor, qkv: Tensor, cos: Tensor, sin: Tensor, slots: Tensor, heads: int
    ) -> Tensor:
        """See `AttentionBody.rotate_and_store`."""
        kv_heads, head_dim = memory.shape[2], memory.shape[4]
        parts = qkv.unflatten(1, (-1, head_dim))
        rotate(parts[:, : heads + kv_heads], cos, sin)
        key, value = parts[:, heads:].chunk(2, dim=1)
        self.store(memory, key, value, slots)
        query: Tensor = parts[:, :heads]
        return query

    def add_norm(
        self, hidden_states: Tensor, residual: Tensor | None, weight: Tensor, eps: float
    ) -> tuple[Tensor, Tensor]:
        """See `LayerBody.add_norm`; the very operations of `transformers`' RMSNorm."""
        residual = hidden_states if residual is None else residual.add_(hidden_states)
        wide = residual.to(torch.float32)
        wide = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps)
        return wide.to(residual.dtype).mul_(weight), residual

    def silu_mul(self, gate_up: Tensor) -> Tensor:
        """See `LayerBody.silu_mul`."""
        gate, up = gate_up.chunk(2, dim=-1)
        return silu(gate).mul_(up)

    def likeliest(self, logits: Tensor, tokens: Tensor, table: Tensor) -> None:
        """See `AttentionBody.likeliest`."""
        logits = logits.to(table.dtype)
        tokens.copy_(logits.argmax(-1))
        scores = logits.gather(-1, tokens[:, None])[:, 0] - logits.logsumexp(-1)
        table.copy_(torch.stack([tokens.to(table.dtype), scores], dim=1))


def rotate(heads: Tensor, cos: Tensor, sin: Tensor) -> None:
    """Rotary embedding (Su et al., 2021) in `transformers`' layout, in place.

    Args:
        heads: Of queries and keys. Shape (T, heads, head_dim).
        cos: Shape (T, head_dim).
        sin: Shape (T, head_dim).
    """
    first, second = heads.chunk(2, dim=-1)
    turned = torch.cat([-second, first], dim=-1).mul_(sin[:, None])
    heads.mul_(cos[:, None]).add_(turned)


def _decode(memory: Tensor, query: Tensor, lengths: Tensor, tables: Tensor, scale: float) -> Tensor:
    """One token each of sequences of different lengths; shapes depend on no length.

    What a page holds beyond a sequence's end may be anything, so it is set to zero: a masked
    value still is multiplied, and zero times NaN is NaN.
    """
    rows, kv_heads, head_dim = len(query), memory.shape[2], memory.shape[4]
    past = memory[:, tables.long()]  # 2, rows, blocks, kv_heads, page, head_dim
    past = past.transpose(2, 3).reshape(2, rows, kv_heads, -1, head_dim)
    outside = torch.arange(past.shape[3], device=query.device) >= lengths[:, None]
    keys, values = past.masked_fill(outside[None, :, None, :, None], 0)
    attended = scaled_dot_product_attention(
        query.unflatten(1, (kv_heads, -1)),
        keys,
        values,
        attn_mask=~outside[:, None, None],
        scale=scale,
    )
    return attended.flatten(1, 2)


def _prefill(memory: Tensor, query: Tensor, position: int, table: Tensor, scale: float) -> Tensor:
    """Several tokens of one sequence, the first of them at `position`."""
    kv_heads, page, head_dim = memory.shape[2:]
    end = position + len(query)
    blocks = -(-end // page)
    past = memory[:, table[:blocks].long()].transpose(1, 2).reshape(2, kv_heads, -1, head_dim)
    keys, values = past[:, :, None, :end]
    groups = query.shape[1] // kv_heads
    visible = torch.ones(len(query), end, dtype=torch.bool, device=query.device).tril(position)
    attended = scaled_dot_product_attention(
        query.transpose(0, 1).unflatten(0, (kv_heads, groups)),
        keys.expand(-1, groups, -1, -1),
        values.expand(-1, groups, -1, -1),
        attn_mask=visible,
        scale=scale,
    )
    return attended.flatten(0, 1).transpose(0, 1)
