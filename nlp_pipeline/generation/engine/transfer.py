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
    return send(torch.tensor(values, dtype=dtype, pin_memory=device.type == "cuda"), device)


def host_tensor(
    size: tuple[int, ...], value: float, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """A tensor on the host to be filled and then sent to a device by `send`."""
    return torch.full(size, value, dtype=dtype, pin_memory=device.type == "cuda")


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on the device; the host does not wait, so it must not be written to again."""
    return tensor.to(device, non_blocking=device.type == "cuda")


class HostCopy:
    """A tensor on its way to the host.

    Args:
        tensor: May be overwritten afterwards by what is queued behind it.
    """

    def __init__(self, tensor: Tensor) -> None:
        self._arrived: torch.cuda.Event | None = None
        if not tensor.is_cuda:
            self._copy = tensor.clone()
            return
        self._copy = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
        self._copy.copy_(tensor, non_blocking=True)
        # The host sleeps while it waits: the cores are spaCy's.
        self._arrived = torch.cuda.Event(blocking=True)
        self._arrived.record(torch.cuda.current_stream(tensor.device))

    def read(self) -> Tensor:
        """The tensor in main memory, waited for if need be."""
        if self._arrived is not None:
            self._arrived.synchronize()
        return self._copy
