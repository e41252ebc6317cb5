"""How the steps of the engine reach the device: chosen by the device, before anything is loaded.

A GPU is done with a decode step before the host has told it what to do next. Two remedies: the
steps are recorded as CUDA graphs, which one call replays (`engine.cuda_graphs`), and the next step
is launched before the last one's tokens are read (`engine.async_runner`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from nlp_pipeline.errors.generation import InvalidModelSetting
from nlp_pipeline.generation.devices import resolve_device
from nlp_pipeline.generation.distributed.process_group import ALONE, World, join
from nlp_pipeline.generation.engine.graph_capture import CudaCapture


@dataclass(frozen=True)
class Launching:
    """The choice.

    Attributes:
        cuda_graphs: Record decode steps and replay them.
        async_scheduling: Launch a step before the tokens of the last one are read.
    """

    cuda_graphs: bool = False
    async_scheduling: bool = False

    def options(self, device: torch.device) -> dict[str, Any]:
        """What the engine takes."""
        capture = CudaCapture(device) if self.cuda_graphs else None
        return {"lookahead": self.async_scheduling, "capture": capture}


def choose_launching(
    device: torch.device,
    world: World = ALONE,
    *,
    cuda_graphs: bool | None = None,
    async_scheduling: bool | None = None,
) -> Launching:
    """What the user says, else what suits the device.

    Args:
        device: Of the model.
        world: The processes that share it. Graphs are for one: where recording fails in one rank
            and not in another, they would wait for each other for ever.
        cuda_graphs: None is: on CUDA, in one process.
        async_scheduling: None is: on CUDA.

    Raises:
        InvalidModelSetting: Graphs were asked for where there can be none.
    """
    cuda = device.type == "cuda"
    if cuda_graphs and not cuda:
        raise InvalidModelSetting("cuda_graphs", True, f"left out on the device {device}")
    if cuda_graphs and world.size > 1:
        allowed = f"left out where {world.size} processes share the model"
        raise InvalidModelSetting("cuda_graphs", True, allowed)
    return Launching(
        (cuda and world.size == 1) if cuda_graphs is None else cuda_graphs,
        cuda if async_scheduling is None else async_scheduling,
    )


def check_launching(
    device: str, tensor_parallel_size: int | None, *, cuda_graphs: bool | None
) -> None:
    """Refuses what cannot be done before a model is loaded for it; see `choose_launching`."""
    if cuda_graphs:
        world = join(tensor_parallel_size, device)
        where = world.device or resolve_device(device)
        choose_launching(where, world, cuda_graphs=cuda_graphs)
