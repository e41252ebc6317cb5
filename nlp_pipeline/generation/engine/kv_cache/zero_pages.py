"""Zeroed memory that costs nothing until it is used."""

from __future__ import annotations

import math
import mmap
from collections.abc import Sequence

import torch
from torch import Tensor

from nlp_pipeline.generation.engine.hf_attention import LayerShape

PRIVATE = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}


def zeros_on_demand(layers: list[LayerShape], sizes: Sequence[tuple[int, ...]]) -> list[Tensor]:
    """Zeros for every layer.

    On a CPU they come from the system itself, which hands out a page of zeros when it is first
    touched. `torch.zeros` would write to all pages at once, those of slots that are never taken
    and of positions that are never reached too (measured: 600 of 2,100 MB, and 2% of the time of
    a short run).

    Args:
        layers: Of what dtype and where.
        sizes: The shape of each.

    Raises:
        MemoryError: There is not enough.
    """
    pairs = list(zip(layers, sizes, strict=True))
    if any(shape.device.type != "cpu" for shape in layers):
        return [torch.zeros(size, dtype=shape.dtype, device=shape.device) for shape, size in pairs]
    counts = [math.prod(size) * shape.dtype.itemsize for shape, size in pairs]
    parts = torch.frombuffer(mapped_memory(sum(counts)), dtype=torch.uint8).split(counts)
    return [part.view(s.dtype).view(size) for part, (s, size) in zip(parts, pairs, strict=True)]


def mapped_memory(size: int) -> mmap.mmap:
    """So many bytes of zeros from the system, which takes a page of them when it is touched.

    Raises:
        MemoryError: There is not enough.
    """
    try:
        return mmap.mmap(-1, size, **PRIVATE)
    except (OSError, OverflowError, ValueError) as error:
        raise MemoryError(str(error)) from error
