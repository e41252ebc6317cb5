"""How weights lie in memory: the same numbers, faster to multiply with the few rows of a step."""

from __future__ import annotations

import mmap
from typing import Any

import torch
from torch import Tensor, nn

from nlp_pipeline.generation.engine.kv_cache.zero_pages import mapped_memory

MAPPING = 2**26
"""Bytes of weights that are mapped at once: many small ones share the large pages of a mapping."""

ALIGNMENT = 64
"""A weight begins at a multiple of so many bytes, the width of a cache line."""


class WeightMemory:
    """Memory for weights, in large pages (2 MiB on x86) where Linux gives them on advice.

    A product of few rows reads its weight once and does little with it, so that it waits for the
    table of pages, which is shorter with large ones. What they bring shows
    `python benchmarks/generation.py --ways engine` beside the same with
    /sys/kernel/mm/transparent_hugepage/enabled at `never`. Where there are none this is memory
    like any other.
    """

    def __init__(self) -> None:
        self._pages: mmap.mmap | None = None
        self._size = self._end = 0

    def copy(self, tensor: Tensor) -> Tensor:
        """A contiguous copy, with a storage of its own: whoever pickles it pickles no others.

        Raises:
            MemoryError: There is not enough.
        """
        if not tensor.nbytes:
            return tensor.contiguous()
        if self._pages is None or self._end + tensor.nbytes > self._size:
            self._size, self._end = max(tensor.nbytes, MAPPING), 0
            self._pages = mapped_memory(self._size)
            if hasattr(mmap, "MADV_HUGEPAGE"):
                _advise_large_pages(self._pages)
        part = torch.frombuffer(
            self._pages, dtype=torch.uint8, count=tensor.nbytes, offset=self._end
        )
        self._end += -(-tensor.nbytes // ALIGNMENT) * ALIGNMENT
        return part.view(tensor.dtype).view(tensor.shape).copy_(tensor)


def _advise_large_pages(pages: mmap.mmap) -> None:
    try:
        pages.madvise(mmap.MADV_HUGEPAGE)
    except OSError:  # a kernel without them
        return


def store_weights_by_columns(model: Any, memory: WeightMemory) -> None:
    """Stores the linear weights of the decoder layers by columns, where that is known to pay.

    On a CPU a product of few rows spends a good part of its time on turning the weights over;
    with columns side by side it need not (measured: decode steps of 16 rows 15% faster, prefill
    4%; in bfloat16 `python benchmarks/generation.py --dtype bfloat16 --ways engine` shows it).
    Shapes, values and modules stay; each weight is copied once. The embedding, and a head that
    shares it, stay as they are.

    Args:
        model: A causal language model.
        memory: Where the copies go.
    """
    for module in model.get_decoder().layers.modules():
        if type(module) is nn.Linear and type(module.weight) is nn.Parameter:
            module.weight.data = by_columns(module.weight.data, memory)


def by_columns(weight: Tensor, memory: WeightMemory) -> Tensor:
    """The same weight, stored by columns where that is known to pay."""
    measured = weight.device.type == "cpu" and weight.dtype in (torch.float32, torch.bfloat16)
    return memory.copy(weight.t()).t() if measured and weight.is_contiguous() else weight
