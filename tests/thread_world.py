"""Ranks that are threads, where no process must die."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import torch
from torch import Tensor

from nlp_pipeline.generation.distributed.process_group import World


@dataclass
class Meeting:
    """Where the threads put their tensors together."""

    size: int
    tensors: list[Tensor] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.barrier = threading.Barrier(self.size, timeout=20)

    def total(self, tensor: Tensor) -> Tensor:
        self.barrier.wait()
        self.tensors.append(tensor.clone())
        self.barrier.wait()
        total = torch.stack(self.tensors).sum(0)
        if self.barrier.wait() == 0:
            self.tensors.clear()
        self.barrier.wait()
        return total


@dataclass(frozen=True, eq=False)
class ThreadWorld(World):
    """A rank that is a thread."""

    meeting: Meeting | None = None

    def sum(self, tensor: Tensor) -> Tensor:
        assert self.meeting is not None
        return tensor.copy_(self.meeting.total(tensor))
