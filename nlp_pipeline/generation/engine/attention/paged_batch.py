"""One step over pages: every number that it needs goes to the device in one copy."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from nlp_pipeline.generation.engine.attention.bodies import AttentionBody
from nlp_pipeline.generation.engine.kv_cache.pages import Pages
from nlp_pipeline.generation.engine.kv_cache.table_pair import TablePair
from nlp_pipeline.generation.engine.scheduled_tokens import ScheduledTokens
from nlp_pipeline.generation.engine.transfer import send

BLOCK_TOKENS = 16
"""Queries that one program of a prefill attends for."""

ALIGNED = 4
"""Numbers of four bytes in 16 bytes."""


class PagedSpan(NamedTuple):
    """Several tokens of one sequence.

    Attributes:
        row: Of the block tables: which sequence's they are.
        token: The first one's place in the batch.
        position: The first one's place in the sequence.
        length: How many.
    """

    row: int
    token: int
    position: int
    length: int


@dataclass(frozen=True, slots=True)
class PagedStep:
    """What attention needs to know of a step. Tokens that decode come first.

    Attributes:
        decoding: The first so many tokens are one each of so many sequences.
        positions: Of all tokens in their sequences. Shape (T,).
        slots: Where in the pages each token goes. Shape (T,).
        tables: Page ids of all sequences, those that are not in this step too.
            Shape (sequences, blocks).
        blocks: How many columns of it this step reads at most.
        rows: Which row of it each of the first `decoding` tokens reads. Shape (decoding,).
        spans: The rest of the tokens.
        block_row: The same cut into pieces for the programs of a kernel: row of the tables,
        block_token: first token,
        block_count: and how many. Each of shape (pieces,).
        block_size: The most tokens of a piece.
    """

    decoding: int
    positions: Tensor
    slots: Tensor
    tables: Tensor
    blocks: int
    rows: Tensor
    spans: tuple[PagedSpan, ...] = ()
    block_row: Tensor | None = None
    block_token: Tensor | None = None
    block_count: Tensor | None = None
    block_size: int = BLOCK_TOKENS


class OverPages:
    """Attention of a batch over pages.

    Attributes:
        body: Computes it.
        pages: Where keys and values are.
        step: Where the batch's tokens stand.
    """

    body: AttentionBody
    pages: Pages
    step: PagedStep

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """See `hf_attention.PackedAttention`."""
        query, key, value = (tensor[0].transpose(0, 1) for tensor in (query, key, value))
        memory = self.pages.layer(layer)
        self.body.store(memory, key, value, self.step.slots)
        return self.body.attend(memory, query.contiguous(), self.step, scale)[None]

    def rotate_and_attend(
        self, layer: int, qkv: Tensor, angles: tuple[Tensor, Tensor], heads: int, scale: float
    ) -> Tensor:
        """See `fused_decoder.FusedBatch`."""
        memory = self.pages.layer(layer)
        query = self.body.rotate_and_store(memory, qkv, *angles, self.step.slots, heads)
        return self.body.attend(memory, query, self.step, scale)


class PagedBatch(OverPages):
    """The tokens of one forward pass, one after the other; a `StepBatch` over pages.

    Args:
        chunks: In any order; `chunks` of the batch says in which they were packed.
        pages: Where keys and values are.
        tables: Page ids of all running sequences, on the host and on the device.
        body: Computes attention.

    Attributes:
        step: What attention needs to know.
        body: See above.
        pages: See above.
    """

    def __init__(
        self, chunks: list[ScheduledTokens], pages: Pages, tables: TablePair, body: AttentionBody
    ) -> None:
        self.body, self.pages = body, pages
        self.chunks = sorted(chunks, key=lambda chunk: chunk.length > 1)
        lengths = np.array([chunk.length for chunk in self.chunks])
        starts = np.array([chunk.start for chunk in self.chunks])
        rows = np.array([chunk.state.slot.row for chunk in self.chunks])
        firsts = np.cumsum(lengths) - lengths
        self.ends = (firsts + lengths - 1).tolist()
        ends = zip(self.ends, self.chunks, strict=True)
        self.unread = {end: chunk.state for end, chunk in ends if chunk.unread}
        decoding = int((lengths == 1).sum())
        owner = np.repeat(np.arange(len(lengths)), lengths)
        positions = np.arange(len(owner)) - firsts[owner] + starts[owner]
        parts = [
            np.fromiter((i for c in self.chunks for i in c.tokens), dtype=np.int64),
            positions,
            token_slots(tables.host, rows[owner], positions, pages.page),
            rows[:decoding],
            *_pieces(rows, firsts, lengths, decoding),
        ]
        ids, where, slots, decode_rows, *pieces = _on_device(parts, pages.memory.device)
        self.ids, self.positions = ids[None], where[None]
        blocks = -(-int((starts + lengths).max()) // pages.page)
        columns = zip(rows, firsts, starts, lengths, strict=True)
        spans = tuple(PagedSpan(*map(int, span)) for span in list(columns)[decoding:])
        self.step = PagedStep(
            decoding=decoding,
            positions=where,
            slots=slots,
            tables=tables.device,
            blocks=blocks,
            rows=decode_rows,
            spans=spans,
            block_row=pieces[0],
            block_token=pieces[1],
            block_count=pieces[2],
        )


def token_slots(
    table: np.ndarray, rows: np.ndarray, positions: np.ndarray, page: int
) -> np.ndarray:
    """Where in the pages tokens go. Shape (T,).

    Args:
        table: Page ids. Shape (sequences, blocks).
        rows: Which row of it each token is of. Shape (T,).
        positions: Of each token in its sequence. Shape (T,).
        page: Tokens in a page.
    """
    slots: np.ndarray = table[rows, positions // page].astype(np.int64) * page + positions % page
    return slots


def _pieces(
    rows: np.ndarray, firsts: np.ndarray, lengths: np.ndarray, decoding: int
) -> list[np.ndarray]:
    """Rows, first tokens and counts of the pieces that longer chunks are cut into."""
    chunks = np.arange(decoding, len(lengths))
    counts = -(-lengths[chunks] // BLOCK_TOKENS)
    owner = np.repeat(chunks, counts)
    first_piece = np.repeat(np.cumsum(counts) - counts, counts)
    offset = (np.arange(len(owner)) - first_piece) * BLOCK_TOKENS
    length = np.minimum(lengths[owner] - offset, BLOCK_TOKENS)
    return [rows[owner], firsts[owner] + offset, length]


def _on_device(parts: list[np.ndarray], device: torch.device) -> list[Tensor]:
    """Arrays of whole numbers as int32 tensors on a device, in one copy that nobody waits for.

    Each begins at 16 bytes: Triton compiles a kernel anew for every combination of arguments that
    do and do not.
    """
    starts = [0, *accumulate(-(-len(part) // ALIGNED) * ALIGNED for part in parts)]
    joined = torch.empty(starts[-1], dtype=torch.int32, pin_memory=device.type == "cuda")
    host = joined.numpy()
    for part, start in zip(parts, starts, strict=False):
        host[start : start + len(part)] = part
    tensor = send(joined, device)
    return [tensor[at : at + len(part)] for part, at in zip(parts, starts, strict=False)]
