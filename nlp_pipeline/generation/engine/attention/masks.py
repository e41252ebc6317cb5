"""Masks: what a token may not see is minus infinity, added to the scores."""

from __future__ import annotations

import torch
from torch import Tensor

from nlp_pipeline.generation.engine.hf_attention import LayerShape


def causal_mask(start: int, size: int, shape: LayerShape) -> Tensor:
    """Added to scores of `size` tokens after `start` others. Shape: (size, start + size)."""
    shape_of_scores = (size, start + size)
    blocked = torch.full(shape_of_scores, float("-inf"), dtype=shape.dtype, device=shape.device)
    return blocked.triu(start + 1)


def padding_mask(ends: Tensor, longest: int, shape: LayerShape) -> Tensor:
    """Added to the scores of rows of different lengths. Shape: (rows, 1, 1, longest)."""
    outside = torch.arange(longest, device=ends.device) >= ends[:, None]
    mask = torch.zeros(outside.shape, dtype=shape.dtype, device=shape.device)
    return mask.masked_fill_(outside, float("-inf"))[:, None, None]
