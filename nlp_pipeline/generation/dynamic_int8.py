"""Products in 8 bits on the CPU: a linear layer whose rows are scaled one by one.

torch's own `quantize_dynamic` finds one scale for the activations of the whole batch: a single
large value takes the precision from all rows, and an answer depends on its batch mates. Here every
row is divided by its largest value first, as in LLM.int8's vector-wise quantization (Dettmers et
al. 2022), so the integers of a row are its own; sums of integers are exact in any order.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor, nn

_ZERO_POINT = 128


class DynamicInt8Linear(nn.Module):
    """Takes the place of a `nn.Linear`: weights in 8 bits a channel, activations 8 bits a row.

    Args:
        linear: The layer whose weight is rounded; on the CPU.
    """

    scale: Tensor
    zero_points: Tensor

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.bias = linear.bias
        weight = linear.weight.detach().float()
        scale = weight.abs().amax(dim=1).clamp(min=1e-12) / 127
        small = (weight / scale[:, None]).round().to(torch.int8)
        self.packed = torch.ops.onednn.qlinear_prepack(small, None)
        self.register_buffer("scale", scale)
        self.register_buffer("zero_points", torch.zeros(self.out_features, dtype=torch.int64))
        self._top = 2 ** ((activation_bits() or 8) - 1) - 1

    def forward(self, hidden: Tensor) -> Tensor:
        """The product. Shapes: hidden (…, in_features) → (…, out_features), in its dtype."""
        rows = hidden.reshape(-1, self.in_features).float()
        unit = rows.abs().amax(dim=1, keepdim=True).clamp(min=1e-12) / self._top
        small = (rows / unit).round_().add_(_ZERO_POINT).to(torch.uint8)
        out = _product(small, self.packed, self.scale, self.zero_points).mul_(unit)
        if self.bias is not None:
            out += self.bias
        return out.view(*hidden.shape[:-1], self.out_features).to(hidden.dtype)


def _product(rows: Tensor, packed: Tensor, scale: Tensor, zero_points: Tensor) -> Tensor:
    out: Tensor = torch.ops.onednn.qlinear_pointwise(
        *(rows, 1.0, _ZERO_POINT),
        *(packed, scale, zero_points),
        *(None, 1.0, 0, torch.float32, "none", [], ""),
    )
    return out


@cache
def activation_bits() -> int | None:
    """Bits of an activation for which this machine's product is exact; None if it has none.

    CPUs without VNNI instructions add pairs of products in 16 bits, which 8 by 8 bits overflow:
    so it is tried, with the largest values there are.
    """
    for bits in (8, 7):
        top = 2 ** (bits - 1) - 1
        rows = torch.full((2, 64), _ZERO_POINT + top, dtype=torch.uint8)
        try:
            packed = torch.ops.onednn.qlinear_prepack(
                torch.full((16, 64), 127).to(torch.int8), None
            )
            found = _product(rows, packed, torch.ones(16), torch.zeros(16, dtype=torch.int64))
        except (RuntimeError, AttributeError, NotImplementedError):
            return None
        if bool((found == 64 * 127 * top).all()):
            return bits
    return None
