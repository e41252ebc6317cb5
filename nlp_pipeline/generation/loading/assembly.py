"""A model from a configuration and a stream of named tensors, each taken to its place at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from nlp_pipeline.errors.escapes import escaped
from nlp_pipeline.errors.generation import CheckpointUnreadable
from nlp_pipeline.errors.meta import TensorsUnknown
from nlp_pipeline.generation.distributed.process_group import ALONE, World
from nlp_pipeline.generation.distributed.tensor_parallel import Sliceable, TensorParallelPlan


@dataclass(frozen=True)
class Placement:
    """How and where a model is held.

    Attributes:
        dtype: Number format of the weights.
        device: Where they go first.
        world: The ranks that share them.
        device_map: `auto` where the layers are to be spread over the GPUs afterwards.
    """

    dtype: torch.dtype
    device: torch.device
    world: World = ALONE
    device_map: str | None = None


class Checkpoint(Protocol):
    """A folder or file of weights that a model can be assembled from."""

    def config(self) -> Any:
        """The configuration of transformers."""
        ...

    def tensors(self) -> Iterator[tuple[str, Sliceable]]:
        """Hugging Face's names of the weights, and the weights."""
        ...


def assemble(checkpoint: Checkpoint, name: str, place: Placement) -> tuple[Any, int]:
    """Builds a causal language model, or this rank's part of one.

    No more than one whole tensor is held at a time beside what the model itself takes.

    Args:
        checkpoint: Configuration and tensors.
        name: The model's name, for messages.
        place: Number format, device and ranks.

    Returns:
        The model, and the number of parameters that all ranks hold together.

    Raises:
        CheckpointUnreadable: The tensors are not those that the model has.
        NoSplitPlan: It cannot be split.
        CannotSplit: It cannot be split over so many ranks.
    """
    from transformers import AutoModelForCausalLM

    plan = TensorParallelPlan(checkpoint.config(), place.world, name)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(plan.config)
    weights: dict[str, Tensor] = {}
    for key, tensor in checkpoint.tensors():
        # A slice would keep its whole tensor in memory; a tensor in a mapped file may stay there.
        copied = plan.ranks_holding(key) > 1
        weights[key] = plan.part(key, tensor).to(place.device, place.dtype, copy=copied)
    _put_in(model, weights, name)
    _rebuild_rotary(model, place.device)
    plan.attach(model)
    return model, sum(p.numel() * plan.ranks_holding(n) for n, p in model.named_parameters())


def _put_in(model: Any, weights: dict[str, Tensor], name: str) -> None:
    """Gives a model on the meta device its weights, without copying them."""
    try:
        missing, unknown = model.load_state_dict(weights, strict=False, assign=True)
    except RuntimeError as error:
        reason = escaped(" ".join(str(error).split()), 300)
        raise CheckpointUnreadable(name, reason) from error
    model.tie_weights()
    missing = [key for key in missing if model.get_parameter(key).is_meta]
    if missing or unknown:
        raise TensorsUnknown(name, missing, unknown)


def _rebuild_rotary(model: Any, device: torch.device) -> None:
    """The rotary frequencies, which are computed, stand in no checkpoint, and stay float32."""
    base = model.base_model
    base.rotary_emb = type(base.rotary_emb)(config=model.config).to(device)
