"""Triton kernels over pages: attention, rotation with store, residual norm, SiLU times.

The attention kernel is of the kind of vLLM's unified Triton attention: one program for a few
queries of one sequence and all query heads of one KV head, an online softmax (Milakov and
Gimelshein, 2018) over tiles of keys whose pages it looks up itself. Tiles are counted from the
beginning of a sequence, so that a token's result does not depend on what else is in the step.
"""

# mypy: ignore-errors
# Triton compiles these functions from their source; annotations there mean something else.
from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def attention_kernel(
    query,  # (T, heads, head_dim)
    memory,  # (2, pages, kv_heads, page, head_dim)
    output,  # (T, heads, head_dim)
    tables,  # (sequences, blocks)
    rows,  # per program of a decode step: its row in the tables
    positions,  # (T,)
    block_row,  # per program of a prefill: its row in the tables,
    block_token,  # its first token,
    block_count,  # and how many tokens it has
    parts,  # (T, heads, SPLITS, head_dim + 2) of float32: where a long past is cut into segments
    scale,
    query_stride,
    table_stride,
    value_offset,
    HEADS: tl.constexpr,
    KV_HEADS: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    HEAD_PADDED: tl.constexpr,
    PAGE: tl.constexpr,
    BLOCK_M: tl.constexpr,
    TILE: tl.constexpr,
    PREFILL: tl.constexpr,
    SEGMENT: tl.constexpr,
    SPLITS: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Attention of a few tokens and all query heads of one KV head; see `AttentionBody.attend`."""
    GROUP: tl.constexpr = HEADS // KV_HEADS
    TOKENS: tl.constexpr = BLOCK_M // GROUP
    block = tl.program_id(0)
    kv_head = tl.program_id(1)
    if PREFILL:
        row = tl.load(block_row + block)
        token = tl.load(block_token + block)
        count = tl.load(block_count + block)
    else:
        row = tl.load(rows + block)
        token = block
        count = 1
    first = tl.load(positions + token)
    end = first + count
    m = tl.arange(0, BLOCK_M)
    d = tl.arange(0, HEAD_PADDED)
    index = m // GROUP
    head = kv_head * GROUP + m % GROUP
    live = (index < count) & (m < TOKENS * GROUP)
    inside = d < HEAD_DIM
    place = (token + index).to(tl.int64)
    q = tl.load(
        query + place[:, None] * query_stride + head[:, None] * HEAD_DIM + d[None, :],
        mask=live[:, None] & inside[None, :],
        other=0.0,
    )
    position = first + index
    highest = tl.full([BLOCK_M], float("-inf"), dtype=tl.float32)
    total = tl.zeros([BLOCK_M], dtype=tl.float32)
    weighted = tl.zeros([BLOCK_M, HEAD_PADDED], dtype=tl.float32)
    begin = 0
    stop = end
    if SPLITS > 1:
        begin = tl.program_id(2) * SEGMENT
        stop = tl.minimum(end, begin + SEGMENT)
    for start in range(begin, stop, TILE):
        n = start + tl.arange(0, TILE)
        in_past = n < stop
        page = tl.load(tables + row * table_stride + n // PAGE, mask=in_past, other=0).to(tl.int64)
        line = ((page * KV_HEADS + kv_head) * PAGE + n % PAGE) * HEAD_DIM
        keys = tl.load(
            memory + line[None, :] + d[:, None],
            mask=in_past[None, :] & inside[:, None],
            other=0.0,
        )
        scores = tl.dot(q, keys, input_precision=PRECISION) * scale
        visible = in_past[None, :] & (n[None, :] <= position[:, None])
        scores = tl.where(visible, scores, float("-inf"))
        higher = tl.maximum(highest, tl.max(scores, 1))
        shrink = tl.exp2(highest - higher)
        weights = tl.exp2(scores - higher[:, None])
        total = total * shrink + tl.sum(weights, 1)
        # What a page holds beyond the sequence may be NaN: masked here, not by a weight of zero.
        values = tl.load(
            memory + value_offset + line[:, None] + d[None, :],
            mask=in_past[:, None] & inside[None, :],
            other=0.0,
        )
        weighted = weighted * shrink[:, None]
        weighted += tl.dot(weights.to(values.dtype), values, input_precision=PRECISION)
        highest = higher
    line = place * HEADS + head
    if SPLITS > 1:
        # Several segments: their sums are joined by `merge_kernel`.
        part = parts + (line * SPLITS + tl.program_id(2)) * (HEAD_DIM + 2)
        # A decoding token's position is the last of its sequence.
        several = live & (position >= SEGMENT) & (position >= begin)
        tl.store(part[:, None] + d[None, :], weighted, mask=several[:, None] & inside[None, :])
        tl.store(part + HEAD_DIM, highest, mask=several)
        tl.store(part + HEAD_DIM + 1, total, mask=several)
        live = live & (position < SEGMENT) & (index + begin == 0)
    tl.store(
        output + line[:, None] * HEAD_DIM + d[None, :],
        (weighted / total[:, None]).to(output.dtype.element_ty),
        mask=live[:, None] & inside[None, :],
    )


@triton.jit
def merge_kernel(
    parts,  # (T, heads, SPLITS, head_dim + 2)
    output,  # (T, heads, head_dim)
    positions,  # (T,)
    HEADS: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    HEAD_PADDED: tl.constexpr,
    SEGMENT: tl.constexpr,
    SPLITS: tl.constexpr,
    SPLITS_PADDED: tl.constexpr,
):
    """Joins the segments of one head of one token by their sums of exponentials."""
    token = tl.program_id(0)
    line = token.to(tl.int64) * HEADS + tl.program_id(1)
    end = tl.load(positions + token) + 1
    s = tl.arange(0, SPLITS_PADDED)
    d = tl.arange(0, HEAD_PADDED)
    # Conditions on numbers of blocks: the interpreter has no `and` of a block and one number.
    in_use = (s < SPLITS) & (s * SEGMENT < end) & (s + end > s + SEGMENT)
    inside = d < HEAD_DIM
    part = parts + (line * SPLITS + s) * (HEAD_DIM + 2)
    highest = tl.load(part + HEAD_DIM, mask=in_use, other=float("-inf"))
    total = tl.load(part + HEAD_DIM + 1, mask=in_use, other=0.0)
    weighted = tl.load(
        part[:, None] + d[None, :], mask=in_use[:, None] & inside[None, :], other=0.0
    )
    shrink = tl.where(in_use, tl.exp2(highest - tl.max(highest, 0)), 0.0)
    joined = tl.sum(weighted * shrink[:, None], 0) / tl.sum(total * shrink, 0)
    several = inside & (d + end > d + SEGMENT)
    tl.store(output + line * HEAD_DIM + d, joined.to(output.dtype.element_ty), mask=several)


@triton.jit
def rotate_and_store_kernel(
    qkv,  # (T, (heads + 2 * kv_heads) * head_dim)
    cos,  # (T, head_dim)
    sin,  # (T, head_dim)
    memory,  # (2, pages, kv_heads, page, head_dim)
    slots,  # (T,)
    value_offset,
    HEADS: tl.constexpr,
    KV_HEADS: tl.constexpr,
    HALF: tl.constexpr,
    HEADS_PADDED: tl.constexpr,
    KV_PADDED: tl.constexpr,
    HALF_PADDED: tl.constexpr,
    PAGE: tl.constexpr,
):
    """All heads of one token; see `AttentionBody.rotate_and_store`."""
    HEAD_DIM: tl.constexpr = 2 * HALF
    token = tl.program_id(0).to(tl.int64)
    d = tl.arange(0, HALF_PADDED)
    inside = d < HALF
    c = tl.load(cos + token * HEAD_DIM + d, mask=inside, other=0.0).to(tl.float32)[None, :]
    s = tl.load(sin + token * HEAD_DIM + d, mask=inside, other=0.0).to(tl.float32)[None, :]
    dtype = qkv.dtype.element_ty
    queries = qkv + token * ((HEADS + 2 * KV_HEADS) * HEAD_DIM)
    h = tl.arange(0, HEADS_PADDED)[:, None]
    mask = (h < HEADS) & inside[None, :]
    at = queries + h * HEAD_DIM + d[None, :]
    a = tl.load(at, mask=mask, other=0.0).to(tl.float32)
    b = tl.load(at + HALF, mask=mask, other=0.0).to(tl.float32)
    tl.store(at, (a * c - b * s).to(dtype), mask=mask)
    tl.store(at + HALF, (b * c + a * s).to(dtype), mask=mask)
    slot = tl.load(slots + token).to(tl.int64)
    g = tl.arange(0, KV_PADDED)[:, None]
    mask = (g < KV_HEADS) & inside[None, :]
    target = memory + ((slot // PAGE * KV_HEADS + g) * PAGE + slot % PAGE) * HEAD_DIM + d[None, :]
    at = queries + (HEADS + g) * HEAD_DIM + d[None, :]
    a = tl.load(at, mask=mask, other=0.0).to(tl.float32)
    b = tl.load(at + HALF, mask=mask, other=0.0).to(tl.float32)
    tl.store(target, (a * c - b * s).to(dtype), mask=mask)
    tl.store(target + HALF, (b * c + a * s).to(dtype), mask=mask)
    at += KV_HEADS * HEAD_DIM
    target += value_offset
    tl.store(target, tl.load(at, mask=mask, other=0.0), mask=mask)
    tl.store(target + HALF, tl.load(at + HALF, mask=mask, other=0.0), mask=mask)


@triton.jit
def add_norm_kernel(
    hidden_states,  # (T, size)
    residual,  # (T, size), overwritten
    weight,  # (size,)
    output,  # (T, size)
    eps,
    SIZE: tl.constexpr,
    PADDED: tl.constexpr,
    ADD: tl.constexpr,
):
    """One token; see `LayerBody.add_norm`."""
    row = tl.program_id(0).to(tl.int64) * SIZE
    d = tl.arange(0, PADDED)
    inside = d < SIZE
    x = tl.load(hidden_states + row + d, mask=inside, other=0.0)
    if ADD:
        x = (x.to(tl.float32) + tl.load(residual + row + d, mask=inside, other=0.0)).to(x.dtype)
        tl.store(residual + row + d, x, mask=inside)
    wide = x.to(tl.float32)
    wide = wide * tl.rsqrt(tl.sum(wide * wide, 0) / SIZE + eps)
    w = tl.load(weight + d, mask=inside, other=0.0)
    # Rounded before it is multiplied, as `transformers` does.
    tl.store(output + row + d, w * wide.to(x.dtype), mask=inside)


@triton.jit
def silu_mul_kernel(
    gate_up,  # (T, 2 * size)
    output,  # (T, size)
    SIZE: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """A part of one token; see `LayerBody.silu_mul`."""
    row = tl.program_id(0).to(tl.int64)
    d = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = d < SIZE
    gate = tl.load(gate_up + row * 2 * SIZE + d, mask=inside, other=0.0)
    up = tl.load(gate_up + row * 2 * SIZE + SIZE + d, mask=inside, other=0.0)
    wide = gate.to(tl.float32)
    activated = (wide / (1.0 + tl.exp(-wide))).to(gate.dtype)
    tl.store(output + row * SIZE + d, activated * up, mask=inside)


@triton.jit
def likeliest_kernel(
    logits,  # (rows, vocabulary)
    tokens,  # (rows,)
    table,  # (rows, 2)
    vocabulary,
    BLOCK: tl.constexpr,
):
    """One row; see `AttentionBody.likeliest`. Of equals the first is taken."""
    row = tl.program_id(0).to(tl.int64)
    best = float("-inf")
    token = 0
    total = 0.0
    for start in range(0, vocabulary, BLOCK):
        d = start + tl.arange(0, BLOCK)
        inside = d < vocabulary
        x = tl.load(logits + row * vocabulary + d, mask=inside, other=float("-inf")).to(tl.float32)
        highest, place = tl.max(x, 0, return_indices=True)
        token = tl.where(highest > best, start + place, token)
        higher = tl.maximum(best, highest)
        # Numbers that are none make the sum none, which marks the row.
        total = total * tl.exp(best - higher) + tl.sum(tl.where(inside, tl.exp(x - higher), 0.0), 0)
        best = higher
    tl.store(tokens + row, token.to(tl.int64))
    tl.store(table + row * 2, token.to(tl.float32))
    tl.store(table + row * 2 + 1, -tl.log(total))
