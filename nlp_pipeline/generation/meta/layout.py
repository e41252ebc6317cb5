"""How Meta splits the tensors of a Llama over shards, and how they are put together again.

Each shard holds what one process of a model-parallel run had (`ColumnParallelLinear`,
`RowParallelLinear` of Meta's llama and llama-models): `wq`, `wk`, `wv`, `w1`, `w3` and `output`
are split by rows, `wo` and `w2` by columns, the embedding by columns up to Llama 2 and by rows
since; norms are whole in every shard. Where there are fewer KV heads than shards, neighbouring
shards hold a copy of the head that they share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nlp_pipeline.errors.meta import ParamsDisagree, ShardMissing, ShardsDisagree
from nlp_pipeline.generation.meta.params import MetaParams

_BY_ROWS = ("wq", "wk", "wv", "w1", "w3", "output")
_BY_COLUMNS = ("wo", "w2")


@dataclass(frozen=True)
class MetaLayout:
    """The layout of one checkpoint, checked when it is made.

    Attributes:
        folder: For messages.
        params: What `params.json` says.
        shards: Names to tensors, one mapping per shard; all have the same names.

    Raises:
        ParamsDisagree: `params.json` says another size than the weights have.
        ShardMissing: The last shards are not there.
        ShardsDisagree: The parts of a tensor do not make the tensor.
    """

    folder: str
    params: MetaParams
    shards: Sequence[Mapping[str, Tensor]]

    def __post_init__(self) -> None:
        first = self.shards[0]
        self._check_dimensions()
        if first["norm.weight"].shape != (self.params.dim,):
            raise self._disagree(f"dim={self.params.dim}", f"{first['norm.weight'].numel()}")
        self._check_number_of_shards()
        self._check_heads()
        if self.params.vocab_size not in (None, self.vocab_size):
            raise self._disagree(f"vocab_size={self.params.vocab_size}", str(self.vocab_size))
        for name in self._weights():
            self._check_shape(name)

    @property
    def vocab_size(self) -> int:
        """Rows of the embedding; `params.json` may leave them to the tokenizer."""
        return self._size("tok_embeddings.weight")[0]

    @property
    def intermediate_size(self) -> int:
        """Rows of `w1`; `params.json` says only how they are rounded."""
        return self._size("layers.0.feed_forward.w1.weight")[0]

    def merged(self, name: str) -> Tensor:
        """A tensor out of its parts in the shards."""
        parts = [shard[name] for shard in self.shards]
        axis, copies = self._axis(name), self._copies(name)
        if axis is None or len(parts) == 1:
            return parts[0]
        for i, part in enumerate(parts):
            if not torch.equal(part, parts[i - i % copies]):
                raise ShardsDisagree(
                    self.folder, name, f"not the same in the {copies} files that share a KV head"
                )
        return torch.cat(parts[::copies], dim=axis)

    def _axis(self, name: str) -> int | None:
        """The dimension that a tensor is split along; None where it is whole in every shard."""
        kind = name.split(".")[-2]
        if kind == "tok_embeddings":
            return 0 if self.shards[0][name].shape[-1] == self.params.dim else 1
        if kind in _BY_COLUMNS:
            return 1
        return 0 if kind in _BY_ROWS else None

    def _copies(self, name: str) -> int:
        """How many neighbouring shards hold the same part: 1, or more of a shared KV head."""
        shared = name.endswith(("wk.weight", "wv.weight")) and (
            len(self.shards) > self.params.n_kv_heads
        )
        return len(self.shards) // self.params.n_kv_heads if shared else 1

    def _size(self, name: str) -> tuple[int, ...]:
        """The shape that a tensor has once it is put together."""
        size = list(self.shards[0][name].shape)
        axis = self._axis(name)
        if axis is not None and axis < len(size):
            size[axis] = size[axis] * len(self.shards) // self._copies(name)
        return tuple(size)

    def _weights(self) -> list[str]:
        return [name for name in self.shards[0] if name.endswith(".weight")]

    def _check_dimensions(self) -> None:
        """Norms are vectors, all else are matrices; sizes are looked at afterwards."""
        for name in self._weights():
            vector = name.endswith("norm.weight")
            if any(shard[name].ndim != (1 if vector else 2) for shard in self.shards):
                raise ShardsDisagree(self.folder, name, f"no {'vector' if vector else 'matrix'}")

    def _check_number_of_shards(self) -> None:
        """The query rows of all shards are those of the model; a lost tail shows here first."""
        dim, n_shards = self.params.dim, len(self.shards)
        rows = [shard["layers.0.attention.wq.weight"].shape[0] for shard in self.shards]
        needed = dim // rows[0] if rows[0] and dim % rows[0] == 0 else n_shards
        if len(set(rows)) == 1 and needed > n_shards:
            names = [f"consolidated.{number:02}.pth" for number in range(needed)]
            raise ShardMissing(self.folder, names[n_shards:], names[:n_shards])

    def _check_heads(self) -> None:
        """The key rows are those of the KV heads; only they show the number of heads."""
        params, rows = self.params, self._size("layers.0.attention.wk.weight")[0]
        if rows != params.n_kv_heads * params.head_dim:
            raise self._disagree(
                f"n_heads={params.n_heads} and n_kv_heads={params.n_kv_heads}, which makes "
                f"{params.n_kv_heads * params.head_dim} rows of keys",
                str(rows),
            )
        freqs = self.shards[0].get("rope.freqs")
        if freqs is not None and freqs.numel() * 2 != params.head_dim:
            raise self._disagree(
                f"n_heads={params.n_heads}", str(params.dim // (2 * freqs.numel()))
            )

    def _check_shape(self, name: str) -> None:
        shapes = [tuple(shard[name].shape) for shard in self.shards]
        needed = self._needed(name)
        if len(set(shapes)) > 1 or self._size(name) != needed:
            shapes_text = ", ".join(dict.fromkeys(_times(shape) for shape in shapes))
            raise ShardsDisagree(
                self.folder, name, f"{shapes_text} and must be {_times(needed)} in all"
            )

    def _needed(self, name: str) -> tuple[int, ...]:
        """The shape that a whole tensor of the model has."""
        params, kind = self.params, name.split(".")[-2]
        width, keys = self.intermediate_size, params.n_kv_heads * params.head_dim
        return {
            "tok_embeddings": (self.vocab_size, params.dim),
            "output": (self.vocab_size, params.dim),
            "wq": (params.dim, params.dim),
            "wk": (keys, params.dim),
            "wv": (keys, params.dim),
            "wo": (params.dim, params.dim),
            "w1": (width, params.dim),
            "w3": (width, params.dim),
            "w2": (params.dim, width),
        }.get(kind, (params.dim,))

    def _disagree(self, claimed: str, actual: str) -> ParamsDisagree:
        return ParamsDisagree(self.folder, claimed, actual)


def _times(shape: Sequence[int]) -> str:
    """`(64, 32)` → `"64 × 32"`."""
    return " × ".join(map(str, shape))
