"""The files of a LoRA adapter as peft writes it: read and checked, before any model is touched."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from nlp_pipeline.errors.escapes import described
from nlp_pipeline.errors.training import AdapterUnreadable
from nlp_pipeline.models import adapter_folder, digest
from nlp_pipeline.models.trained_settings import ADAPTER_MANIFEST

CONFIG, WEIGHTS, MANIFEST = (
    "adapter_config.json",
    "adapter_model.safetensors",
    ADAPTER_MANIFEST.name,
)
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


@dataclass(frozen=True)
class LayerProduct:
    """What an adapter adds to one weight: `scale · up · down`.

    Attributes:
        down: LoRA's A. Shape: (rank, n_in).
        up: LoRA's B. Shape: (n_out, rank).
        scale: The product is multiplied by this.
    """

    down: Tensor
    up: Tensor
    scale: float

    @property
    def shape(self) -> tuple[int, int]:
        """That of the weight that it is added to."""
        return self.up.shape[0], self.down.shape[1]


@dataclass(frozen=True)
class AdapterFiles:
    """An adapter.

    Attributes:
        path: Its folder.
        digest: Of its files.
        trained_on: Name of its base, as far as it is known.
        base_digest: Of its base; None where nobody wrote it down.
        products: By the name of their layer.
    """

    path: Path
    digest: str
    trained_on: str
    base_digest: str | None
    products: Mapping[str, LayerProduct]

    @classmethod
    def read(cls, adapter: str) -> AdapterFiles:
        """Reads an adapter by its folder or the name of one that ships.

        Raises:
            AdapterUnreadable: It is no adapter, or of a kind that is more than a product.
        """
        path = adapter_folder(adapter)
        config = _read_json(path / CONFIG, path)
        _check_config(config, path)
        manifest = _read_json(path / MANIFEST, path) if (path / MANIFEST).is_file() else {}
        base = manifest.get("base") or {}
        name = base.get("model") or config.get("base_model_name_or_path") or "another model"
        products = {
            layer: LayerProduct(down, up, _scale(config, layer, down.shape[0]))
            for layer, (down, up) in _layers(_read_weights(path), path).items()
        }
        return cls(
            path,
            digest(path),
            trained_on=str(name),
            base_digest=base.get("digest"),
            products=products,
        )


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
