"""One model over several processes: tensor parallelism without a word in the model's code.

After Megatron-LM (Shoeybi et al. 2019): each rank holds its share of the heads and of the width
between `gate_proj`, `up_proj` and `down_proj`. Put another way, it holds a narrower Llama, whose
configuration says so; only the outputs of `o_proj` and `down_proj` are added up over the ranks.
Embedding, norms and head are whole everywhere, so every rank has all logits.

Which weights are split how is transformers' own plan (`base_model_tp_plan`); its `tp_plan="auto"`
is not used, because it takes no tensors but those of a folder, turns weights into DTensors, whose
dispatch costs more than a small product, and differs between its versions.
"""

from __future__ import annotations

import copy
import math
import re
from typing import Any, Protocol

from torch import Tensor

from nlp_pipeline.errors.parallel import CannotSplit, NoSplitPlan
from nlp_pipeline.generation.distributed.process_group import World

_WHOLE = ("replicated", "replicated_with_grad_allreduce")


class Sliceable(Protocol):
    """A tensor, or one in a file of which only the part that is asked for is read."""

    def __getitem__(self, key: Any, /) -> Tensor: ...

    @property
    def shape(self) -> Any:
        """Sizes along each dimension."""
        ...


class TensorParallelPlan:
    """What one rank holds of a model.

    Args:
        config: The configuration of the whole model.
        world: The ranks.
        name: The model's name, for messages.

    Attributes:
        config: The configuration of this rank's part.

    Raises:
        NoSplitPlan: It is not known how to split this kind of model.
        CannotSplit: Heads, KV heads or width do not divide by the number of ranks.
    """

    def __init__(self, config: Any, world: World, name: str) -> None:
        self._world = world
        self.config = config
        self._rows = self._columns = re.compile(r"(?!)")
        if world.size > 1:
            self._rows, self._columns = _patterns(config, name)
            self.config = _share(config, world.size)

    def part(self, name: str, tensor: Sliceable) -> Tensor:
        """This rank's part of a named weight."""
        if self._rows.search(name):
            return tensor[self._own_range(tensor.shape[0])]
        if self._columns.search(name):
            if name.endswith(".bias"):  # added once, after the sum
                return tensor[:] * (self._world.rank == 0)
            return tensor[:, self._own_range(tensor.shape[1])]
        return tensor[:]

    def ranks_holding(self, name: str) -> int:
        """Over how many ranks a weight is spread."""
        by_columns = self._columns.search(name) and not name.endswith(".bias")
        return self._world.size if by_columns or self._rows.search(name) else 1

    def attach(self, model: Any) -> None:
        """Adds up over the ranks what the modules that are split by columns put out."""
        for name, module in model.named_modules():
            if self._columns.search(f"{name}.weight"):
                module.register_forward_hook(lambda _module, _inputs, out: self._world.sum(out))

    def _own_range(self, size: int) -> slice:
        share = size // self._world.size
        return slice(self._world.rank * share, (self._world.rank + 1) * share)


def _patterns(config: Any, name: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """What matches the weights that are split by rows, and by columns."""
    plan = dict(getattr(config, "base_model_tp_plan", None) or {})
    if not plan:
        raise NoSplitPlan(name, f"transformers has no plan for models of type {config.model_type}")
    odd = set(plan.values()) - {"colwise", "rowwise", *_WHOLE}
    if odd:
        raise NoSplitPlan(name, f"its plan asks for {min(odd)}, which is not supported")
    return _matching(plan, "colwise"), _matching(plan, "rowwise")


def _matching(plan: dict[str, str], style: str) -> re.Pattern[str]:
    modules = [re.escape(m).replace(r"\*", r"\d+") for m, kind in plan.items() if kind == style]
    return re.compile(rf"(?:^|\.)(?:{'|'.join(modules)})\.(?:weight|bias)$")


def _share(config: Any, size: int) -> Any:
    """The configuration of a Llama that is as wide as one rank's part."""
    parts = {
        "attention heads": config.num_attention_heads,
        "key/value heads": config.num_key_value_heads,
        "units between the projections": config.intermediate_size,
    }
    most = math.gcd(*parts.values())
    if most % size:
        raise CannotSplit(size, parts, [n for n in range(1, most + 1) if most % n == 0])
    share = copy.deepcopy(config)
    share.head_dim = getattr(config, "head_dim", None) or (
        config.hidden_size // config.num_attention_heads
    )
    share.num_attention_heads //= size
    share.num_key_value_heads //= size
    share.intermediate_size //= size
    return share
