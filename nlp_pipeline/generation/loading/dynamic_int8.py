"""Products in 8 bits on the CPU: a linear layer whose rows are scaled one by one.

torch's own `quantize_dynamic` finds one scale for the activations of the whole batch: a single
large value takes the precision from all rows, and an answer depends on its batch mates. Here every
row is divided by its largest value first, as in LLM.int8's vector-wise quantization (Dettmers et
al. 2022), so the integers of a row are its own; sums of integers are exact in any order.

The integers are multiplied by oneDNN where its result is exact on this processor, and in float32
elsewhere: slower, with the same sums to the last bit.
"""

from __future__ import annotations

from functools import cache
from typing import Protocol

import torch
from torch import Tensor, nn

_EXACT_TERMS = 1024
"""Products of two 8-bit numbers whose sum float32 holds exactly: 1024 * 127 * 127 < 2**24."""


class DynamicInt8Linear(nn.Module):
    """Takes the place of a `nn.Linear`: weights in 8 bits a channel, activations 8 bits a row.

    Args:
        linear: The layer whose weight is rounded; on the CPU.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.bias = linear.bias
        weight = linear.weight.detach().float()
        scale = weight.abs().amax(dim=1).clamp(min=1e-12) / 127
        integers = (weight / scale[:, None]).round().to(torch.int8)
        self.product = int8_product(integers, scale)
        self._largest = 2 ** (activation_bits() - 1) - 1

    def forward(self, hidden: Tensor) -> Tensor:
        """The product. Shapes: hidden (…, in_features) → (…, out_features), in its dtype."""
        rows = hidden.reshape(-1, self.in_features).float()
        unit = rows.abs().amax(dim=1, keepdim=True).clamp(min=1e-12) / self._largest
        out = self.product((rows / unit).round_()).mul_(unit)
        if self.bias is not None:
            out += self.bias
        return out.view(*hidden.shape[:-1], self.out_features).to(hidden.dtype)


class Int8Product(Protocol):
    """Multiplies whole numbers with a weight of 8-bit integers; the sums are exact."""

    def __call__(self, rows: Tensor) -> Tensor:
        """The scaled sums, in float32.

        Args:
            rows: Whole numbers from -127 to 127, in float32. Shape: (n_rows, in_features).
                May be overwritten.

        Returns:
            Shape: (n_rows, out_features).
        """


class OneDNNProduct(nn.Module):
    """The product by oneDNN's kernels, which torch keeps private.

    Args:
        weight: int8. Shape: (out_features, in_features).
        scale: What one stands for in each row of the weight. Shape: (out_features,).
        bits: Of an activation: 8, or 7 for processors that add two products in 16 bits.
    """

    scale: Tensor
    zero_points: Tensor

    def __init__(self, weight: Tensor, scale: Tensor, bits: int) -> None:
        super().__init__()
        # The kernels take unsigned activations. The smaller the zero point, the smaller the
        # largest of them: two products of 7 bits, 2 * 127 * 127, are below 2**15.
        self._zero_point = 2 ** (bits - 1)
        self.packed = torch.ops.onednn.qlinear_prepack(weight, None)
        self.register_buffer("scale", scale)
        self.register_buffer("zero_points", torch.zeros(len(scale), dtype=torch.int64))

    def forward(self, rows: Tensor) -> Tensor:
        """The scaled sums of `Int8Product`."""
        out: Tensor = torch.ops.onednn.qlinear_pointwise(
            *(rows.add_(self._zero_point).to(torch.uint8), 1.0, self._zero_point),
            *(self.packed, self.scale, self.zero_points),
            *(None, 1.0, 0, torch.float32, "none", [], ""),
        )
        return out


class Float32Product(nn.Module):
    """The same sums in float32, for processors on which oneDNN's are not exact.

    The weight stays in 8 bits and is widened a block at a time: as small, but slower than float32.

    Args:
        weight: int8. Shape: (out_features, in_features).
        scale: What one stands for in each row of the weight. Shape: (out_features,).
    """

    weight: Tensor
    scale: Tensor

    def __init__(self, weight: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.register_buffer("scale", scale)

    def forward(self, rows: Tensor) -> Tensor:
        """The scaled sums of `Int8Product`."""
        sums = torch.zeros(len(rows), len(self.scale), dtype=torch.int32)
        # Each block's sum is exact in float32, and their sum in integers; rounding comes once,
        # at the end, as in oneDNN.
        blocks = zip(
            rows.split(_EXACT_TERMS, dim=1), self.weight.split(_EXACT_TERMS, dim=1), strict=True
        )
        for block, weight in blocks:
            sums += (block @ weight.float().T).to(torch.int32)
        return sums.float().mul_(self.scale)


def int8_product(weight: Tensor, scale: Tensor) -> Int8Product:
    """The fastest product that is exact on this processor.

    Args:
        weight: int8. Shape: (out_features, in_features).
        scale: What one stands for in each row of the weight. Shape: (out_features,).
    """
    bits = onednn_bits()
    return Float32Product(weight, scale) if bits is None else OneDNNProduct(weight, scale, bits)


def activation_bits() -> int:
    """Bits of an activation in the product of this processor: 8, or 7 where 8 would overflow."""
    return onednn_bits() or 8


@cache
def onednn_bits() -> int | None:
    """Bits of an activation for which oneDNN's product is exact here: 8, 7, or None for neither.

    Processors without VNNI instructions add two products in 16 bits, which 8 by 8 bits overflow:
    so it is tried, with the largest values there are.
    """
    return next((bits for bits in (8, 7) if _is_exact(bits)), None)


def _is_exact(bits: int) -> bool:
    largest = 2 ** (bits - 1) - 1
    weight = torch.tensor([[127], [-127]], dtype=torch.int8).expand(2, 64).contiguous()
    try:
        product = OneDNNProduct(weight, torch.ones(2), bits)
        sums = product(torch.tensor([[largest], [-largest]]).expand(2, 64).float().contiguous())
    except (RuntimeError, AttributeError, NotImplementedError):
        return False
    total = 64 * 127 * largest
    return bool((sums == torch.tensor([[total, -total], [-total, total]])).all())
