"""Where a model runs and in which number format."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch

from nlp_pipeline.environment import processor_field
from nlp_pipeline.errors.generation import DeviceUnavailable, InvalidDtype, ModelDoesNotFit

DTYPES = {
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "float32": torch.float32,
    "float64": torch.float64,
}

BFLOAT16_FLAGS = frozenset({"amx_bf16", "avx512_bf16", "bf16"})
"""Of which a processor that multiplies bfloat16 itself has one: Intel and AMD, and ARM's."""


def available_devices() -> list[str]:
    """The device names that `resolve_device` accepts on this machine, best first."""
    names = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    if names:
        names.insert(0, "cuda")
    if torch.backends.mps.is_available():
        names.append("mps")
    return [*names, "cpu"]


def resolve_device(device: str) -> torch.device:
    """Turns `"auto"`, `"cpu"`, `"cuda"`, `"cuda:1"` or `"mps"` into a device that is there.

    Raises:
        DeviceUnavailable: The device was asked for by name and is not there. `"auto"` never
            raises: it takes CUDA, else MPS, else the CPU.
    """
    available = available_devices()
    if device == "auto":
        return torch.device(available[0])
    if device not in available:
        reason = why_no_cuda() if device.startswith("cuda") and "cuda" not in available else None
        raise DeviceUnavailable(device, ["auto", *available], reason)
    return torch.device(device)


def why_no_cuda() -> str:
    """Why torch can use no GPU: it was built without, the driver disagrees, or there is none."""
    if torch.version.cuda is None and torch.version.hip is None:
        return f"torch {torch.__version__} was built without CUDA"
    try:
        torch.cuda.init()
    except (RuntimeError, AssertionError) as error:
        return str(error).strip().split("\n")[0].rstrip(".")
    return "torch sees no GPU"


@contextmanager
def fitting(name: str, device: torch.device) -> Iterator[None]:
    """Turns too little memory for a model into an error that says what may help.

    Args:
        name: The model, for the message.
        device: Where it goes.

    Raises:
        ModelDoesNotFit: The block ran out of memory.
    """
    try:
        yield
    except (MemoryError, torch.cuda.OutOfMemoryError) as error:
        reason = " ".join(str(error).split())[:200].rstrip(".") or "no memory is left"
        raise ModelDoesNotFit(name, str(device), reason) from error


class StepLimits(NamedTuple):
    """How much the engine does at a time.

    Attributes:
        max_batch_size: Sequences that run together.
        max_batched_tokens: Tokens in one forward pass.
    """

    max_batch_size: int
    max_batched_tokens: int


def step_limits(
    device: torch.device, max_batch_size: int | None = None, max_batched_tokens: int | None = None
) -> StepLimits:
    """What the user says, else what suits the device.

    A GPU needs many rows, and long steps, to be kept busy while the host prepares the next one. On
    a CPU the products of 64 rows run near its best rate, and more of them only make others wait.
    Keys and values take what memory there is room for (`engine.kv_cache.memory`) where
    `kv_cache_tokens` is left out.

    Args:
        device: Of the model.
        max_batch_size: Sequences that run together; None for the device's.
        max_batched_tokens: Tokens in one forward pass; None for the device's.
    """
    suited = StepLimits(256, 8192) if device.type == "cuda" else StepLimits(64, 512)
    return StepLimits(
        max_batch_size or suited.max_batch_size, max_batched_tokens or suited.max_batched_tokens
    )


def resolve_dtype(dtype: str, device: torch.device) -> torch.dtype:
    """Turns `"auto"` or a dtype's name into a dtype: auto is bfloat16 on CUDA, else float32.

    Raises:
        InvalidDtype: The name is not one of `auto`, `float16`, `bfloat16`, `float32`, `float64`.
    """
    if dtype == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    if dtype not in DTYPES:
        raise InvalidDtype(dtype, ["auto", *DTYPES])
    return DTYPES[dtype]


def emulates_bfloat16(device: torch.device) -> bool:
    """Whether products in bfloat16 are made of float32's here, as far as the system tells.

    `False` for other devices than the CPU, and where Linux's list of its flags is not there.
    """
    flags = processor_field("flags", "features").split() if device.type == "cpu" else []
    return bool(flags) and not BFLOAT16_FLAGS.intersection(flags)
