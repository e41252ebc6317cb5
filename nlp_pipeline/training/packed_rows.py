"""Shared sequences as tensors: a row each, with the mask that keeps its branches apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nlp_pipeline.training.shared_sequences import SharedSequence

_PADDING = -1


@dataclass(frozen=True)
class PackedRows:
    """What one forward pass computes.

    Attributes:
        ids: Token ids. Shape: (rows, n_tokens).
        positions: Of the tokens in their own prompts: every branch goes on where the prefix
            ended. Shape: (rows, n_tokens).
        allowed: Which token may attend to which. Shape: (rows, 1, n_tokens, n_tokens).
        label_rows: Row of each token that predicts one of an answer. Shape: (n_labels,).
        label_columns: Its place in the row. Shape: (n_labels,).
        labels: The answers' tokens. Shape: (n_labels,).
    """

    ids: Tensor
    positions: Tensor
    allowed: Tensor
    label_rows: Tensor
    label_columns: Tensor
    labels: Tensor

    @classmethod
    def of(cls, sequences: Sequence[SharedSequence], device: torch.device) -> PackedRows:
        """The tensors of some sequences, padded to the longest."""
        width = max(sequence.n_tokens for sequence in sequences)
        ids = torch.zeros(len(sequences), width, dtype=torch.long)
        positions = torch.zeros_like(ids)
        segments = torch.full_like(ids, _PADDING)
        labels: list[tuple[int, int, int]] = []
        for row, sequence in enumerate(sequences):
            start = end = len(sequence.prefix)
            ids[row, :start] = torch.tensor(sequence.prefix, dtype=torch.long)
            positions[row, :start] = torch.arange(start)
            segments[row, :start] = 0
            branches = zip(sequence.branches, sequence.examples, strict=True)
            for number, (branch, example) in enumerate(branches, 1):
                begin, end = end, end + len(branch)
                ids[row, begin:end] = torch.tensor(branch)
                positions[row, begin:end] = torch.arange(start, start + len(branch))
                segments[row, begin:end] = number
                first = end - len(example.target_ids) - 1
                labels += [(row, first + n, t) for n, t in enumerate(example.target_ids)]
        rows, columns, targets = torch.tensor(labels).unbind(1)
        tensors = (ids, positions, _allowed(segments), rows, columns, targets)
        return cls(*(tensor.to(device) for tensor in tensors))


def _allowed(segments: Tensor) -> Tensor:
    """The mask: a token sees the prefix and its own branch, up to itself.

    Args:
        segments: 0 for the prefix, from 1 on the branches, -1 for padding. Shape:
            (rows, n_tokens).
    """
    width = segments.shape[1]
    causal = torch.ones(width, width, dtype=torch.bool).tril()
    own = segments[:, :, None] == segments[:, None, :]  # padding sees padding: no row is empty
    prefix = (segments == 0)[:, None, :] & (segments != _PADDING)[:, :, None]
    return ((own | prefix) & causal)[:, None]


def forward_passes(
    sequences: Sequence[SharedSequence], max_tokens: int
) -> Iterator[list[SharedSequence]]:
    """Sequences that are computed together: of like length, and not too many.

    Args:
        sequences: Of one mini-batch.
        max_tokens: Tokens in a pass, padding counted; a longer sequence is computed alone.
    """
    rows: list[SharedSequence] = []
    for sequence in sorted(sequences, key=lambda s: s.n_tokens):
        if rows and (len(rows) + 1) * sequence.n_tokens > max_tokens:
            yield rows
            rows = []
        rows.append(sequence)
    if rows:
        yield rows
