"""Several processes that share one model, as `torchrun --nproc-per-node N` starts them.

Every process is a rank: it holds its part of the weights (see `tensor_parallel`), is given the same
requests and returns the same completions. Only the main one should print and write.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import logging
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from nlp_pipeline.errors.generation import DeviceUnavailable, InvalidModelSetting
from nlp_pipeline.errors.parallel import (
    ProcessGroupFailed,
    RankLost,
    RanksDisagree,
    TooFewDevices,
    WorldSizeDisagrees,
)

logger = logging.getLogger(__name__)

TIMEOUT_VARIABLE = "NLP_PIPELINE_COLLECTIVE_TIMEOUT"
"""Environment variable: seconds after which a rank that does not answer is given up."""

TIMEOUT_S = 300.0
PATIENCE = timedelta(days=30)
"""How long a rank waits for work; one that died is noticed at once, over the broken connection."""

ROLL_CALL_S = 2.0
"""How long the others have to answer once one rank has noticed that something is wrong."""


def launched() -> bool:
    """Whether torchrun, or a launcher that says the same, started this process."""
    return all(name in os.environ for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR"))


def is_main() -> bool:
    """Whether this process should print and write: rank 0, and any process that is alone."""
    return not launched() or int(os.environ["RANK"]) == 0


def world_size() -> int:
    """How many processes share a model; 1 without torchrun, and in `data_parallel`."""
    return int(os.environ["WORLD_SIZE"]) if launched() and not _own_models else 1


@dataclass(frozen=True, eq=False)
class World:
    """The processes that share a model, as one of them sees it.

    Attributes:
        rank: Number of this process, from 0.
        size: How many there are.
        device: Where this process computes; None where it is alone and free to choose.
        store: torch's key-value store, which outlives any rank; None where it is alone.
        control: The process group of `from_main`; None where it is alone.
    """

    rank: int = 0
    size: int = 1
    device: torch.device | None = None
    store: Any = None
    control: Any = None

    def sum(self, tensor: Tensor) -> Tensor:
        """Adds up the ranks' tensors of one shape, in place.

        Raises:
            RankLost: A rank died or did not answer in time.
        """
        if self.size > 1:
            with self._noticing():
                dist.all_reduce(tensor)
        return tensor

    def smallest(self, value: int) -> int:
        """The smallest of the ranks' values: what all of them have room for.

        Raises:
            RankLost: A rank died or did not answer in time.
        """
        if self.size == 1:
            return value
        values = torch.tensor([value], dtype=torch.long, device=self.device)
        with self._noticing():
            dist.all_reduce(values, op=dist.ReduceOp.MIN)
        return int(values)

    def check_same(self, name: str, value: object) -> None:
        """Compares the `repr` of a value over the ranks.

        Raises:
            RanksDisagree: It is not the same everywhere.
            RankLost: A rank died or did not answer in time.
        """
        if self.size == 1:
            return
        digest = int.from_bytes(hashlib.sha256(repr(value).encode()).digest()[:7], "big")
        least, most = self.smallest(digest), -self.smallest(-digest)
        if least != most:
            raise RanksDisagree(name)

    def from_main(self, value: Any = None) -> Any:
        """Rank 0's value, on every rank; the others wait for it however long it takes.

        Raises:
            RankLost: A rank died.
        """
        objects = [value]
        with self._noticing():
            dist.broadcast_object_list(objects, group=self.control, device=torch.device("cpu"))
        return objects[0]

    @contextmanager
    def main_first(self) -> Iterator[None]:
        """Rank 0 does the work of the block, then the others, who find it done in the cache."""
        if self.rank > 0:
            self.smallest(0)
        try:
            yield
        finally:
            if self.rank == 0:
                self.smallest(0)

    @contextmanager
    def _noticing(self) -> Iterator[None]:
        """Turns what torch raises when a rank is lost into an error that names the rank."""
        try:
            yield
        except RuntimeError as error:
            atexit.unregister(dist.destroy_process_group)  # it would wait for the lost one
            reason = str(error).strip().split("\n")[0][:200].rstrip(".")
            raise RankLost(self.rank, self.size, self._silent_ranks(), reason=reason) from error

    def _silent_ranks(self) -> list[int]:
        """A roll call: the ranks that do not answer it."""
        silent = []
        with contextlib.suppress(RuntimeError):  # the store itself may be gone
            self.store.set(f"here/{self.rank}", "")
            for rank in range(self.size):
                try:
                    self.store.wait([f"here/{rank}"], timedelta(seconds=ROLL_CALL_S))
                except RuntimeError:
                    silent.append(rank)
        return silent


ALONE = World()

_own_models: list[World] = []
"""In `data_parallel`: this process as one that shares its models with nobody."""


@contextmanager
def data_parallel(device: str) -> Iterator[World]:
    """While the block runs, no model is split: each of the processes has whole ones of its own.

    Args:
        device: `auto`, `cpu` or `cuda`; where there are several, each takes its own GPU.

    Yields:
        The processes, who can add up what each has computed; `ALONE` without torchrun.

    Raises:
        ModelError: As `join`.
    """
    world = join(None, device)
    _own_models.append(World(device=world.device))
    try:
        yield world
    finally:
        _own_models.pop()


def join(size: int | None, device: str) -> World:
    """Joins the other processes, if torchrun started several.

    Args:
        size: `tensor_parallel_size`: None takes as many as were started.
        device: `auto`, `cpu` or `cuda`; where there are several, each takes its own GPU.

    Raises:
        WorldSizeDisagrees: Another number of processes was started.
        TooFewDevices: There are more processes than GPUs.
        DeviceUnavailable: The device is not there.
        InvalidModelSetting: No number, or a device that several processes cannot share.
        ProcessGroupFailed: The others cannot be reached.
    """
    if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 1):
        raise InvalidModelSetting("tensor_parallel_size", size, "an integer of at least 1")
    started = world_size()
    if size is not None and size != started:
        raise WorldSizeDisagrees(size, started)
    if _own_models:
        return _own_models[-1]
    return ALONE if started == 1 else _joined(local_device(device))


def local_device(device: str) -> torch.device:
    """The device of this process among those of this machine.

    Raises:
        TooFewDevices: There are more processes than GPUs.
        DeviceUnavailable: CUDA was asked for and is not there.
        InvalidModelSetting: A device that several processes cannot share.
    """
    gpus = torch.cuda.device_count()
    if device not in ("auto", "cuda", "cpu"):
        raise InvalidModelSetting(
            "device", device, "auto, cuda or cpu where several processes share the model"
        )
    if device == "cuda" and not gpus:
        raise DeviceUnavailable(device, ["auto", "cpu"])
    if device == "cpu" or not gpus:
        return torch.device("cpu")
    local = int(os.environ.get("LOCAL_WORLD_SIZE", world_size()))
    if local > gpus:
        raise TooFewDevices(local, gpus)
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", os.environ["RANK"])))


@cache
def _joined(device: torch.device) -> World:
    """The process group, made once: NCCL on GPUs, gloo where there is no NCCL or no GPU."""
    from torch.distributed.rendezvous import rendezvous

    limit = timedelta(seconds=_timeout())
    backend = "nccl" if device.type == "cuda" and dist.is_nccl_available() else "gloo"
    if device.type == "cuda":
        torch.cuda.set_device(device)
    try:
        store, rank, size = next(iter(rendezvous("env://", timeout=limit)))
        if not dist.is_initialized():
            dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=limit)
            atexit.register(dist.destroy_process_group)
    except (RuntimeError, ValueError) as error:
        where = f"{os.environ['MASTER_ADDR']}:{os.environ.get('MASTER_PORT', '?')}"
        reason = str(error).strip().split("\n")[0][:200].rstrip(".")
        raise ProcessGroupFailed(
            int(os.environ["RANK"]), world_size(), where, reason=reason
        ) from error
    if backend == "gloo" and rank == 0:
        why = "no CUDA here" if device.type == "cpu" else "torch has no NCCL here"
        # A warning, because Python shows a program that sets up no logging nothing less.
        logger.warning("%d processes work together over gloo (%s)", size, why)
    own = dist.PrefixStore("nlp_pipeline", store)  # type: ignore[attr-defined]
    # Rank 0 may read and annotate for any time before it has work for the others.
    control = dist.new_group(backend="gloo", timeout=PATIENCE)
    return World(rank, size, device=device, store=own, control=control)


def _timeout() -> float:
    """Seconds after which a rank that does not answer is given up."""
    value = os.environ.get(TIMEOUT_VARIABLE, str(TIMEOUT_S))
    try:
        seconds = float(value)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < 1e6:
        raise InvalidModelSetting(TIMEOUT_VARIABLE, value, "a number of seconds above 0")
    return seconds
