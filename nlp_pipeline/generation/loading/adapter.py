"""A LoRA adapter added to the weights of its base when that is loaded.

`W ← W + scale · B·A` (Hu et al. 2021): the sum is computed once, so that an adapted model runs
through the engine as any other, and peft is not needed to run it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from nlp_pipeline.errors.training import AdapterForOtherBase
from nlp_pipeline.generation.distributed.tensor_parallel import Sliceable
from nlp_pipeline.generation.loading.adapter_files import AdapterFiles, LayerProduct
from nlp_pipeline.generation.loading.assembly import Checkpoint


class Adapter:
    """An adapter for a model.

    Args:
        adapter: Its folder, or the name of one that ships.
        name: The model's name, for messages.
        base_digest: Of the model as it was named.

    Attributes:
        files: What it adds.

    Raises:
        AdapterUnreadable: It is no adapter, or of a kind that is more than a product.
        AdapterForOtherBase: It was trained on another model.
    """

    def __init__(self, adapter: str, name: str, base_digest: str) -> None:
        self.files = AdapterFiles.read(adapter)
        self._name = name
        recorded = self.files.base_digest
        if recorded is not None and recorded != base_digest:
            own = f"{base_digest[:12]}…"
            raise self._other_base(f"its digest is {own}, and that of the base is {recorded[:12]}…")

    def add_to(self, model: Any) -> None:
        """Adds it to the weights of a whole model with plain linear layers, in place.

        Raises:
            AdapterForOtherBase: The model has no such layers.
        """
        for layer, product in self.files.products.items():
            weight = _weight(model, layer)
            self._check(layer, product, None if weight is None else tuple(weight.shape))
            if weight is not None:
                add_product(weight, product.down, product.up, product.scale)

    def added_to(self, checkpoint: Checkpoint, dtype: torch.dtype) -> Checkpoint:
        """The checkpoint with the sums in it, for processes of which each takes its part.

        Args:
            checkpoint: Of the base.
            dtype: Number format that the weights get.
        """
        return _AdaptedCheckpoint(checkpoint, self, dtype)

    def sum_of(self, layer: str, product: LayerProduct, weight: Tensor) -> Tensor:
        """A weight with what is added to it.

        Raises:
            AdapterForOtherBase: It has another shape.
        """
        self._check(layer, product, tuple(weight.shape))
        holder = nn.Parameter(weight, requires_grad=False)
        add_product(holder, product.down, product.up, product.scale)
        return holder.data

    def _check(self, layer: str, product: LayerProduct, shape: tuple[int, ...] | None) -> None:
        if shape != product.shape:
            own = "it has no such layer" if shape is None else f"that is {shape}"
            reason = f"the adapter is for a layer {layer} of shape {product.shape}, and {own}"
            raise self._other_base(reason)

    def check_all(self, layers: set[str]) -> None:
        """Refuses a model that lacks a layer.

        Raises:
            AdapterForOtherBase: It does.
        """
        for layer, product in self.files.products.items():
            if layer not in layers:
                self._check(layer, product, None)

    def _other_base(self, reason: str) -> AdapterForOtherBase:
        path = str(self.files.path)
        return AdapterForOtherBase(path, self.files.trained_on, model=self._name, reason=reason)


class _AdaptedCheckpoint:
    """The tensors of a checkpoint, those of adapted layers as sums."""

    def __init__(self, checkpoint: Checkpoint, adapter: Adapter, dtype: torch.dtype) -> None:
        self._checkpoint, self._adapter, self._dtype = checkpoint, adapter, dtype

    def config(self) -> Any:
        """The configuration of the base."""
        return self._checkpoint.config()

    def tensors(self) -> Iterator[tuple[str, Sliceable]]:
        """Names and weights; an adapted one is whole until its part is taken."""
        products, layers = self._adapter.files.products, set()
        for key, tensor in self._checkpoint.tensors():
            layer = key.removesuffix(".weight")
            product = products.get(layer)
            layers.add(layer)
            if product is None:
                yield key, tensor
            else:
                yield key, self._adapter.sum_of(layer, product, tensor[:].to(self._dtype))
        self._adapter.check_all(layers)


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


def _weight(model: Any, layer: str) -> Tensor | None:
    try:
        module = model.get_submodule(layer)
    except AttributeError:
        return None
    return module.weight if isinstance(module, nn.Linear) else None
