"""How many tokens' keys and values the device has room for."""

from __future__ import annotations

import gc
import sys
from pathlib import Path

import torch

from nlp_pipeline.generation.engine.hf_attention import LayerShape

CPU_SHARE = 0.25
"""Of the free memory: spaCy's workers, the tables and the page cache need the rest."""

CUDA_SHARE = 0.8
"""Of the memory that is free after the weights; the rest is for activations and logits."""

UNKNOWN = 4 * 2**30
"""Bytes taken to be free where the system does not say."""


def kv_tokens_that_fit(layers: list[LayerShape]) -> int:
    """Tokens of keys and values that fit beside everything else; at least 1."""
    per_device: dict[torch.device, int] = {}
    for layer in layers:
        per_device[layer.device] = per_device.get(layer.device, 0) + layer.bytes_per_token
    return max(1, min(_for_cache(device) // size for device, size in per_device.items()))


def _for_cache(device: torch.device) -> int:
    if device.type == "cuda":
        # What torch has reserved and nobody holds is free for us, though not for the driver.
        gc.collect()
        reserved = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int((torch.cuda.mem_get_info(device)[0] + reserved) * CUDA_SHARE)
    return int(free_memory() * CPU_SHARE)


def free_memory() -> int:
    """Bytes of main memory that can still be taken, by the system's and the container's word."""
    return min(_available(), _cgroup_left())


def total_memory() -> int:
    """Bytes of main memory that this machine, or the container, has; no end where none is known."""
    limit = _read("/sys/fs/cgroup/memory.max").strip()
    return min(_meminfo("MemTotal", sys.maxsize), int(limit) if limit.isdigit() else sys.maxsize)


def _available() -> int:
    """Linux's own estimate of what can be allocated without swapping."""
    return _meminfo("MemAvailable", UNKNOWN)


def _meminfo(name: str, unknown: int) -> int:
    """Bytes, as Linux says them."""
    for line in _read("/proc/meminfo").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return unknown


def _cgroup_left() -> int:
    """Bytes that the limit of this process's container (cgroup) leaves."""
    limit, used = _read("/sys/fs/cgroup/memory.max"), _read("/sys/fs/cgroup/memory.current")
    if not limit.strip().isdigit() or not used.strip().isdigit():
        return _available()
    return max(0, int(limit) - int(used))


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii")
    except OSError:
        return ""
