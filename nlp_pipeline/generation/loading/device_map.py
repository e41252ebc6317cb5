"""One process, several GPUs: whole layers on each, for models that are larger than one.

The GPUs work one after the other, so it is slower than a split over processes (`distributed`), but
needs no torchrun and any number of layers. accelerate decides what goes where and moves the
hidden states; what no GPU has room for stays in main memory.
"""

from __future__ import annotations

from typing import Any

from nlp_pipeline.errors.generation import InvalidModelSetting
from nlp_pipeline.generation.distributed.process_group import World


def check_device_map(
    device_map: str | None, device: str, world: World, quantization: str | None
) -> None:
    """Refuses what cannot be combined before anything is loaded.

    Raises:
        InvalidModelSetting: Another value than `auto`, or another option that excludes it.
    """
    if device_map is None:
        return
    allowed = None
    if device_map != "auto":
        allowed = "auto or left out"
    elif world.size > 1:
        allowed = f"left out where {world.size} processes share the model"
    elif device != "auto":
        allowed = f"left out where the device is named (device={device!r})"
    elif quantization is not None:
        allowed = f"left out together with quantization={quantization!r}"
    if allowed is not None:
        raise InvalidModelSetting("device_map", device_map, allowed)


def spread(model: Any) -> Any:
    """Takes a model in main memory to the devices that there are, unless it already is there."""
    from accelerate import dispatch_model, infer_auto_device_map
    from accelerate.utils import get_balanced_memory

    if hasattr(model, "hf_device_map"):
        return model
    unsplit_modules = model._no_split_modules
    room = get_balanced_memory(model, no_split_module_classes=unsplit_modules)
    places = infer_auto_device_map(model, max_memory=room, no_split_module_classes=unsplit_modules)
    return dispatch_model(model, device_map=places)
