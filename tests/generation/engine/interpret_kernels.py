"""Runs every Triton kernel on small shapes and compares it with the reference body.

`python tests/generation/engine/interpret_kernels.py` interprets them on the CPU; with a GPU and
TRITON_INTERPRET=0 they are compiled.
"""

from __future__ import annotations

import os
import sys

os.environ.setdefault("TRITON_INTERPRET", "1")

import torch

from nlp_pipeline.generation.engine.attention.paged_batch import PagedSpan, PagedStep
from nlp_pipeline.generation.engine.attention.reference_body import ReferenceBody
from nlp_pipeline.generation.engine.attention.triton_body import TritonBody

DEVICE = "cpu" if os.environ["TRITON_INTERPRET"] == "1" else "cuda"
HALF = torch.float16 if DEVICE == "cpu" else torch.bfloat16
"""The interpreter's products of bfloat16 are not right."""

PAGE = 4
BLOCK = 16


def step_of(decoding: list[int], prefills: list[tuple[int, int]], pages: int) -> PagedStep:
    """Sequences that decode at positions, and prefills of (first position, tokens)."""
    ends = [*(position + 1 for position in decoding), *(start + size for start, size in prefills)]
    blocks = -(-max(ends) // PAGE)
    order = torch.randperm(pages - 1) + 1
    tables = torch.zeros(len(ends) + 1, blocks, dtype=torch.int32)
    rows = torch.randperm(len(ends))  # rows of the tables are in no order
    taken = 0
    for row, end in zip(rows.tolist(), ends, strict=True):
        count = -(-end // PAGE)
        tables[row, :count] = order[taken : taken + count].int()
        taken += count
    positions, owner, spans, pieces = list(decoding), rows[: len(decoding)].tolist(), [], []
    for row, (start, size) in zip(rows[len(decoding) :].tolist(), prefills, strict=True):
        token = len(positions)
        spans.append(PagedSpan(row, token, start, size))
        pieces += [(row, token + at, min(BLOCK, size - at)) for at in range(0, size, BLOCK)]
        positions += range(start, start + size)
        owner += [row] * size
    where = torch.tensor(positions)
    slots = tables[torch.tensor(owner), where // PAGE] * PAGE + where % PAGE
    cut = torch.tensor(pieces, dtype=torch.int32).view(-1, 3).T.contiguous()
    block_row, block_token, block_count = (column.contiguous().to(DEVICE) for column in cut)
    return PagedStep(
        decoding=len(decoding),
        positions=where.int().to(DEVICE),
        slots=slots.int().to(DEVICE),
        tables=tables.to(DEVICE),
        blocks=blocks,
        rows=rows[: len(decoding)].int().to(DEVICE),
        spans=tuple(spans),
        block_row=block_row,
        block_token=block_token,
        block_count=block_count,
        block_size=BLOCK,
    )


def close(first: torch.Tensor, second: torch.Tensor, what: str) -> None:
    tolerance = 2e-5 if first.dtype == torch.float32 else 2e-2
    torch.testing.assert_close(
        first, second, rtol=tolerance, atol=tolerance, msg=lambda m: what + m
    )


def compare_attention(heads: int, kv_heads: int, head_dim: int, dtype: torch.dtype) -> None:
    torch.manual_seed(heads * head_dim)
    step = step_of([0, 5, 70, 3], [(0, 20), (9, 3), (40, 17)], pages=120)
    tokens = len(step.positions)
    memory = torch.full((2, 120, kv_heads, PAGE, head_dim), float("nan"), dtype=dtype)
    table = step.tables.cpu()
    for span in [*step.spans, *(PagedSpan(int(r), 0, int(p), 1) for r, p in zip(
        step.rows.cpu(), step.positions[: step.decoding].cpu(), strict=True))]:  # fmt: skip
        for position in range(span.position + span.length):
            page_id = table[span.row, position // PAGE]
            memory[:, page_id, :, position % PAGE] = torch.randn(2, kv_heads, head_dim).to(dtype)
    memory = memory.to(DEVICE)
    query = torch.randn(tokens, heads, head_dim).to(dtype).to(DEVICE)
    scale = head_dim**-0.5
    expected = ReferenceBody().attend(memory.float(), query.float(), step, scale).to(dtype)
    for segment in (1024, 16, 32):
        body = TritonBody()
        body.segment, body.busy_programs = segment, 10**6
        what = f"{heads} heads in segments of {segment}: "
        close(body.attend(memory, query, step, scale), expected, what)
    qkv = torch.randn(tokens, (heads + 2 * kv_heads) * head_dim).to(dtype).to(DEVICE)
    angles = torch.rand(tokens, head_dim // 2, device=DEVICE).repeat(1, 2) * 6
    cos, sin = angles.cos().to(dtype), angles.sin().to(dtype)
    mine, theirs = memory.clone(), memory.clone()
    expected = ReferenceBody().rotate_and_store(theirs, qkv.clone(), cos, sin, step.slots, heads)
    close(
        TritonBody().rotate_and_store(mine, qkv.clone(), cos, sin, step.slots, heads),
        expected, "rotated queries: ",
    )  # fmt: skip
    assert bool((mine.isnan() == theirs.isnan()).all())
    close(mine.nan_to_num(), theirs.nan_to_num(), "stored keys and values: ")


def compare_layers(size: int, dtype: torch.dtype) -> None:
    torch.manual_seed(size)
    hidden, residual = (torch.randn(5, size).to(dtype).to(DEVICE) for _ in range(2))
    weight = torch.randn(size).to(dtype).to(DEVICE)
    for stream in (None, residual):
        copies = [None if stream is None else stream.clone() for _ in range(2)]
        mine = TritonBody().add_norm(hidden.clone(), copies[0], weight, 1e-5)
        theirs = ReferenceBody().add_norm(hidden.clone(), copies[1], weight, 1e-5)
        for one, other, what in zip(mine, theirs, ("norm: ", "stream: "), strict=True):
            close(one, other, what)
    gate_up = torch.randn(5, 2 * size).to(dtype).to(DEVICE)
    close(TritonBody().silu_mul(gate_up), ReferenceBody().silu_mul(gate_up), "SiLU: ")


def compare_choice(dtype: torch.dtype) -> None:
    torch.manual_seed(3)
    logits = (torch.randn(5, 9000) * 3).to(dtype)
    logits[0, 8000] = logits[0, 17] = 40.0  # of equals the first
    logits[1, 4] = float("-inf")
    logits[2, 5] = float("nan")
    logits = logits.to(DEVICE)
    results = []
    for body in (TritonBody(), ReferenceBody()):
        tokens = torch.empty(5, dtype=torch.long, device=DEVICE)
        table = torch.empty(5, 2, device=DEVICE)
        body.likeliest(logits, tokens, table)
        results.append((tokens, table))
    finite = [0, 1, 3, 4]
    assert results[0][0][finite].tolist() == results[1][0][finite].tolist()
    close(results[0][1][finite], results[1][1][finite], "token and score: ")
    assert bool(results[0][1][2, 1].isnan())


if __name__ == "__main__":
    for shape in [(4, 2, 16), (9, 3, 64), (3, 3, 8), (8, 1, 32)]:
        compare_attention(*shape, torch.float32)
    compare_attention(4, 2, 16, HALF)
    compare_choice(torch.float32)
    compare_choice(HALF)
    for size in (16, 96, 1500):
        compare_layers(size, torch.float32)
    compare_layers(96, HALF)
    sys.stdout.write("all equal\n")
