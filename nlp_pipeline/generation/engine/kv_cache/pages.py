"""Memory for keys and values in pages of a few tokens, and how many sequences use each of them.

The idea is that of vLLM (Kwon et al., 2023): a sequence owns no stretch of memory but a list of
pages, so that nothing has to be moved when sequences of any lengths come and go, and a page that
several sequences begin with is kept once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import Tensor

from nlp_pipeline.generation.engine.hf_attention import LayerShape

PAGE = 16
"""Tokens in a page: small, because only whole pages are shared."""

SCRATCH = 0
"""The page that padding writes to and nobody reads."""


class Pages:
    """The pages of all layers, a free list, and reference counts.

    What a page holds before it is written is undefined; attention masks it, values included.

    Args:
        layers: What the layers keep; all the same.
        count: How many pages, the scratch page counted; at least 2.
        page: Tokens in one.

    Attributes:
        memory: Shape (layers, 2, count, kv_heads, page, head_dim): keys, then values.
        page: Tokens in a page.
        on_evict: Is told of a page that was kept for others and is needed again.

    Raises:
        MemoryError: There is not enough.
    """

    def __init__(self, layers: list[LayerShape], count: int, page: int = PAGE) -> None:
        shape = layers[0]
        size = (len(layers), 2, count, shape.kv_heads, page, shape.head_dim)
        try:
            self.memory = torch.empty(size, dtype=shape.dtype, device=shape.device)
        except RuntimeError as error:  # torch's own OutOfMemoryError is one too
            raise MemoryError(str(error)) from error
        self.page = page
        self.on_evict: Callable[[int], None] = lambda page_id: None
        self._references = [0] * count
        self._free = list(range(count - 1, SCRATCH, -1))
        self._idle: OrderedDict[int, None] = OrderedDict()

    @property
    def count(self) -> int:
        """Pages that sequences can have."""
        return len(self._references) - 1

    @property
    def available(self) -> int:
        """Pages that can be taken now, those kept for others counted."""
        return len(self._free) + len(self._idle)

    def references(self, page_id: int) -> int:
        """How many block tables a page stands in."""
        return self._references[page_id]

    def is_idle(self, page_id: int) -> bool:
        """Whether a page is only kept because someone may begin with it."""
        return page_id in self._idle

    def take(self, count: int) -> list[int]:
        """Pages with one reference each; of those kept for others the longest unused go first.

        Raises:
            MemoryError: Fewer are available.
        """
        if count > self.available:
            raise MemoryError(f"{count} pages are needed and {self.available} are free")
        page_ids = [self._free.pop() if self._free else self._evicted() for _ in range(count)]
        for page_id in page_ids:
            self._references[page_id] = 1
        return page_ids

    def retain(self, page_id: int) -> None:
        """One more block table has this page."""
        self._idle.pop(page_id, None)
        self._references[page_id] += 1

    def release(self, page_id: int, *, keep: bool) -> None:
        """One block table fewer has it; `keep` leaves the last one's page for others to find."""
        self._references[page_id] -= 1
        if not self._references[page_id]:
            if keep:
                self._idle[page_id] = None
            else:
                self._free.append(page_id)

    def copy(self, source: int, target: int) -> None:
        """Copies one page's keys and values in all layers."""
        self.memory[:, :, target] = self.memory[:, :, source]

    def layer(self, index: int) -> Tensor:
        """Keys and values of a layer. Shape: (2, count, kv_heads, page, head_dim)."""
        return self.memory[index]

    def _evicted(self) -> int:
        page_id, _ = self._idle.popitem(last=False)
        self.on_evict(page_id)
        return page_id
