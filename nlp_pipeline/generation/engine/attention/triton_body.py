"""Attention over pages, and what stands around it in a layer, as Triton kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import triton
from torch import Tensor

from nlp_pipeline.generation.engine.attention.triton_kernels import (
    add_norm_kernel,
    attention_kernel,
    likeliest_kernel,
    merge_kernel,
    rotate_and_store_kernel,
    silu_mul_kernel,
)

if TYPE_CHECKING:
    from nlp_pipeline.generation.engine.attention.paged_batch import PagedStep

LOG2_E = 1.4426950408889634
"""The kernel's exponentials are powers of two, which the hardware has."""

MOST_SPLITS = 16
"""Segments of the longest past."""

DECODE_ROWS = 16
"""Query heads that one program has in a decode step; the smallest that a tensor core takes."""


class TritonBody:
    """See `bodies.AttentionBody`; float32 is multiplied as such, not as TF32.

    Attributes:
        segment: Tokens that one program of a decode step meets at most, while there are few
            segments.
        busy_programs: So many programs keep a device busy: about two on every multiprocessor.
    """

    name = "triton"
    segment = 1024
    busy_programs = 256

    def store(self, memory: Tensor, key: Tensor, value: Tensor, slots: Tensor) -> None:
        """See `AttentionBody.store`; for models that are not fused, so in torch's operations."""
        page = memory.shape[3]
        page_ids, offsets = slots // page, slots % page
        memory[0][page_ids, :, offsets] = key
        memory[1][page_ids, :, offsets] = value

    def attend(self, memory: Tensor, query: Tensor, step: PagedStep, scale: float) -> Tensor:
        """See `AttentionBody.attend`."""
        output = torch.empty(query.shape, dtype=query.dtype, device=query.device)
        if step.decoding:
            self._decode(memory, query, output, step, scale)
        if step.block_row is not None and len(step.block_row):
            grid = (len(step.block_row), memory.shape[2])
            rows = step.block_size * (query.shape[1] // memory.shape[2])
            self._launch(grid, memory, query, output, step, scale, rows=rows)
        return output

    def rotate_and_store(
        self, memory: Tensor, qkv: Tensor, cos: Tensor, sin: Tensor, slots: Tensor, heads: int
    ) -> Tensor:
        """See `AttentionBody.rotate_and_store`."""
        kv_heads, page, head_dim = memory.shape[2:]
        half = head_dim // 2
        rotate_and_store_kernel[(len(qkv),)](
            qkv, cos, sin, memory, slots, memory.stride(0),
            HEADS=heads, KV_HEADS=kv_heads, HALF=half,
            HEADS_PADDED=triton.next_power_of_2(heads),
            KV_PADDED=triton.next_power_of_2(kv_heads),
            HALF_PADDED=triton.next_power_of_2(half), PAGE=page, num_warps=4,
        )  # fmt: skip
        queries: Tensor = qkv[:, : heads * head_dim].unflatten(1, (heads, head_dim))
        return queries

    def add_norm(
        self, hidden_states: Tensor, residual: Tensor | None, weight: Tensor, eps: float
    ) -> tuple[Tensor, Tensor]:
        """See `LayerBody.add_norm`."""
        tokens, size = hidden_states.shape
        output = torch.empty_like(hidden_states)
        stream = hidden_states if residual is None else residual
        padded = triton.next_power_of_2(size)
        add_norm_kernel[(tokens,)](
            hidden_states, stream, weight, output, eps,
            SIZE=size, PADDED=padded, ADD=residual is not None, num_warps=8 if padded > 2048 else 4,
        )  # fmt: skip
        return output, stream

    def silu_mul(self, gate_up: Tensor) -> Tensor:
        """See `LayerBody.silu_mul`."""
        tokens, size = len(gate_up), gate_up.shape[1] // 2
        output = torch.empty(tokens, size, dtype=gate_up.dtype, device=gate_up.device)
        block = min(1024, triton.next_power_of_2(size))
        silu_mul_kernel[(tokens, triton.cdiv(size, block))](
            gate_up, output, SIZE=size, BLOCK=block, num_warps=4
        )
        return output

    def likeliest(self, logits: Tensor, tokens: Tensor, table: Tensor) -> None:
        """See `AttentionBody.likeliest`."""
        rows, vocabulary = logits.shape
        block = min(4096, triton.next_power_of_2(vocabulary))
        likeliest_kernel[(rows,)](
            logits.contiguous(), tokens, table, vocabulary, BLOCK=block, num_warps=8
        )

    def _decode(
        self, memory: Tensor, query: Tensor, output: Tensor, step: PagedStep, scale: float
    ) -> None:
        """Where few sequences leave the device idle, a long past is cut into segments.

        How many depends on the longest sequence that there can be, so that a graph holds for all.
        With many sequences segments only cost: 256 of 250 tokens took 110 microseconds for 74.
        """
        kv_heads, page = memory.shape[2:4]
        heads, head_dim = query.shape[1:]
        longest = step.tables.shape[1] * page
        segment = max(self.segment, triton.next_power_of_2(triton.cdiv(longest, MOST_SPLITS)))
        few = step.decoding * kv_heads < self.busy_programs
        splits = triton.cdiv(longest, segment) if few else 1
        parts = None
        if splits > 1:
            size = (step.decoding, heads, splits, head_dim + 2)
            parts = torch.empty(size, dtype=torch.float32, device=query.device)
        grid = (step.decoding, kv_heads, splits)
        self._launch(
            grid, memory, query, output, step, scale, parts=parts, segment=segment, splits=splits
        )
        if parts is not None:
            merge_kernel[(step.decoding, heads)](
                parts, output, step.positions, HEADS=heads, HEAD_DIM=head_dim,
                HEAD_PADDED=triton.next_power_of_2(head_dim), SEGMENT=segment, SPLITS=splits,
                SPLITS_PADDED=triton.next_power_of_2(splits), num_warps=1,
            )  # fmt: skip

    def _launch(
        self,
        grid: tuple[int, ...],
        memory: Tensor,
        query: Tensor,
        output: Tensor,
        step: PagedStep,
        scale: float,
        *,
        rows: int | None = None,
        parts: Tensor | None = None,
        segment: int = 0,
        splits: int = 1,
    ) -> None:
        """Launches the attention kernel; `rows` are queries times heads of a prefill's program."""
        heads, head_dim = query.shape[1:]
        kv_heads, page = memory.shape[2:4]
        wide = memory.dtype == torch.float32
        least = rows or heads // kv_heads
        tuned: dict[str, Any] = {"num_warps": 4, "num_stages": 2}
        attention_kernel[grid](
            query, memory, output, step.tables, step.rows, step.positions,
            step.block_row, step.block_token, step.block_count, parts,
            scale * LOG2_E, query.stride(0), step.tables.stride(0), memory.stride(0),
            HEADS=heads, KV_HEADS=kv_heads, HEAD_DIM=head_dim,
            HEAD_PADDED=max(16, triton.next_power_of_2(head_dim)), PAGE=page,
            BLOCK_M=max(DECODE_ROWS, triton.next_power_of_2(least)),
            TILE=32 if wide else 64, PREFILL=rows is not None, SEGMENT=segment, SPLITS=splits,
            PRECISION="ieee", **tuned,
        )  # fmt: skip
