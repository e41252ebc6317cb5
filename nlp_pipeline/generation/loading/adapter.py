"""A LoRA adapter, as peft writes it, added to the weights of its base when that is loaded.

`W ← W + scale · B·A` (Hu et al. 2021): the sum is computed once, so that an adapted model runs
through the engine as any other, and peft is not needed to run it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nlp_pipeline.errors.escapes import described
from nlp_pipeline.errors.training import AdapterForOtherBase, AdapterUnreadable
from nlp_pipeline.models import digest

CONFIG, WEIGHTS, MANIFEST = "adapter_config.json", "adapter_model.safetensors", "manifest.json"
"""The files of an adapter's folder; only this package's own have the last, with their base."""

_PREFIX = "base_model.model."
_PLAIN = {
    "use_dora": False,
    "fan_in_fan_out": False,
    "modules_to_save": None,
    "trainable_token_indices": None,
    "bias": "none",
    "lora_bias": False,
    "alora_invocation_tokens": None,
}
"""Settings of peft whose other values mean more than a product beside a weight."""


def add_adapter(model: Any, folder: str | Path, name: str, base_digest: str) -> str:
    """Adds an adapter to a model's weights.

    Args:
        model: A causal language model with plain linear layers; changed in place.
        folder: The adapter's.
        name: The model's name, for messages.
        base_digest: Of the model as it was named.

    Returns:
        The adapter's digest.

    Raises:
        AdapterUnreadable: It is no adapter, or of a kind that is more than a product.
        AdapterForOtherBase: It was trained on another model.
    """
    path = Path(folder).expanduser()
    config = _read_json(path / CONFIG, path)
    _check_config(config, path)
    manifest = _read_json(path / MANIFEST, path) if (path / MANIFEST).is_file() else {}
    base = manifest.get("base") or {}
    trained_on = str(base.get("model") or config.get("base_model_name_or_path") or "another model")
    recorded = base.get("digest")
    if recorded is not None and recorded != base_digest:
        reason = f"its digest is {base_digest[:12]}…, and that of the base is {recorded[:12]}…"
        raise AdapterForOtherBase(str(path), trained_on, model=name, reason=reason)
    weights = _read_weights(path)
    layers = _layers(weights, path)
    for layer, (down, up) in layers.items():
        weight = _weight(model, layer)
        if weight is None or weight.shape != (up.shape[0], down.shape[1]):
            own = "it has no such layer" if weight is None else f"that is {tuple(weight.shape)}"
            shape = (up.shape[0], down.shape[1])
            reason = f"the adapter is for a layer {layer} of shape {shape}, and {own}"
            raise AdapterForOtherBase(str(path), trained_on, model=name, reason=reason)
        add_product(weight, down, up, _scale(config, layer, down.shape[0]))
    return digest(path)


def add_product(weight: Tensor, down: Tensor, up: Tensor, scale: float) -> None:
    """Gives a weight its sum with a product of LoRA's matrices, in its own dtype.

    The numbers themselves are not written over: they may lie in a file that is mapped to memory.

    Args:
        weight: Gets new numbers. Shape: (n_out, n_in).
        down: LoRA's A. Shape: (rank, n_in).
        up: LoRA's B. Shape: (n_out, rank).
        scale: The product is multiplied by this.
    """
    kind = torch.promote_types(weight.dtype, torch.float32)
    product = up.to(weight.device, kind) @ down.to(weight.device, kind)
    weight.data = (weight.data.to(kind) + scale * product.detach()).to(weight.dtype)


def _check_config(config: Mapping[str, Any], path: Path) -> None:
    if config.get("peft_type") != "LORA":
        kind = str(config.get("peft_type"))
        raise AdapterUnreadable(str(path), f"it is of the kind {kind}, and must be LORA")
    for name, plain in _PLAIN.items():
        if config.get(name, plain) not in (plain, None, [], False):
            raise AdapterUnreadable(str(path), f"its {name} is {config[name]!r}")


def _scale(config: Mapping[str, Any], layer: str, rank: int) -> float:
    """`alpha / rank`, or over its root (rsLoRA); a layer may have an alpha of its own."""
    patterns: Mapping[str, Any] = config.get("alpha_pattern") or {}
    own = (value for key, value in patterns.items() if layer == key or layer.endswith(f".{key}"))
    alpha = float(next(own, config.get("lora_alpha", rank)))
    return alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)


def _layers(weights: Mapping[str, Tensor], path: Path) -> dict[str, tuple[Tensor, Tensor]]:
    """Both matrices by the name of their layer."""
    layers: dict[str, tuple[Tensor, Tensor]] = {}
    for key in weights:
        layer = key.removeprefix(_PREFIX).removesuffix(".lora_A.weight")
        partner = f"{_PREFIX}{layer}.lora_B.weight"
        if key != f"{_PREFIX}{layer}.lora_A.weight":
            if not key.endswith(".lora_B.weight"):
                raise AdapterUnreadable(str(path), f"it holds the tensor {key}")
            continue
        down, up = weights[key], weights.get(partner)
        if up is None or down.ndim != 2 or up.ndim != 2 or up.shape[1] != down.shape[0]:
            raise AdapterUnreadable(str(path), f"the matrices of layer {layer} do not match")
        layers[layer] = down, up
    if not layers:
        raise AdapterUnreadable(str(path), "it holds no matrices")
    return layers


def _weight(model: Any, layer: str) -> Tensor | None:
    try:
        module = model.get_submodule(layer)
    except AttributeError:
        return None
    return module.weight if isinstance(module, nn.Linear) else None


def _read_json(file: Path, folder: Path) -> dict[str, Any]:
    try:
        value = json.loads(file.read_bytes())
    except OSError as error:
        reason = f"{file.name} cannot be read ({described(error)})"
        raise AdapterUnreadable(str(folder), reason) from error
    except ValueError as error:
        raise AdapterUnreadable(str(folder), f"{file.name} is no JSON") from error
    if not isinstance(value, dict):
        raise AdapterUnreadable(str(folder), f"{file.name} is no object")
    return value


def _read_weights(folder: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(folder / WEIGHTS)
    except (OSError, SafetensorError) as error:
        reason = f"{WEIGHTS} cannot be read ({described(error)})"
        raise AdapterUnreadable(str(folder), reason) from error
