"""Recording what a computation does to the device, to do it again without the host."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

WARM_UPS = 2
"""Libraries choose their kernels and take their memory in the first runs."""


class Capture(Protocol):
    """Records a computation. What it reads and writes must stay where it is."""

    def __call__(self, compute: Callable[[], Tensor]) -> Callable[[], Tensor]:
        """What does the same again, on the same memory, and returns the same tensor.

        Args:
            compute: Reads nothing from the host but sizes. It may be called any number of times.
        """
        ...


class CudaCapture:
    """Records CUDA graphs; all share one pool of memory, since only one runs at a time.

    Follows the sampler of torch's documentation: warm-up on a side stream, then capture.

    Args:
        device: A CUDA device.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pool = torch.cuda.graph_pool_handle()
        self._side = torch.cuda.Stream(device)  # one, since libraries keep memory per stream

    def __call__(self, compute: Callable[[], Tensor]) -> Callable[[], Tensor]:
        """See `Capture`."""
        with torch.cuda.device(self._device):
            graph, output = self._recorded(compute)

        def replay() -> Tensor:
            graph.replay()
            return output

        return replay

    def _recorded(self, compute: Callable[[], Tensor]) -> tuple[Any, Tensor]:
        """The graph, and the tensor that every replay fills."""
        current, side = torch.cuda.current_stream(), self._side
        side.wait_stream(current)
        with torch.cuda.stream(side):
            for _ in range(WARM_UPS):
                compute()
        current.wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        try:
            # What other threads do on the device (spaCy may) is no mistake of ours.
            with torch.cuda.graph(
                graph, pool=self._pool, stream=side, capture_error_mode="thread_local"
            ):
                output = compute()
        finally:  # torch leaves its own stream current where a capture fails
            torch.cuda.set_stream(current)
        return graph, output
