"""Between host and device without waiting: what a copy from or to ordinary memory would do.

On CUDA a copy of a list, or a `tolist`, waits until the device has done everything before it.
Page-locked memory and an event let the host go on, and the device too.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def upload(
    values: Sequence[object], device: torch.device, dtype: torch.dtype = torch.long
) -> Tensor:
    """Numbers, or lists of them of one length, as a tensor on the device."""
    cuda = device.type == "cuda"
    held = torch.tensor(values, dtype=dtype, pin_memory=cuda)
    return held.to(device, non_blocking=cuda)


class HostCopy:
    """A tensor on its way to the host.

    Args:
        tensor: May be overwritten afterwards by what is queued behind it.
    """

    def __init__(self, tensor: Tensor) -> None:
        self._held, self._arrived = tensor, None
        if tensor.is_cuda:
            self._held = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
            self._held.copy_(tensor, non_blocking=True)
            # The host sleeps while it waits: the cores are spaCy's.
            self._arrived = torch.cuda.Event(blocking=True)
            self._arrived.record(torch.cuda.current_stream(tensor.device))

    def read(self) -> Tensor:
        """The tensor in main memory, waited for if need be."""
        if self._arrived is not None:
            self._arrived.synchronize()
        return self._held
