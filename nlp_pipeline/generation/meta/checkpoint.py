"""Meta's own checkpoints as Hugging Face's `LlamaForCausalLM` wants them: config and tensors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nlp_pipeline.errors.meta import ParamsDisagree, ShardsDisagree, TensorsUnknown
from nlp_pipeline.generation.meta.layout import MetaLayout
from nlp_pipeline.generation.meta.params import read_params
from nlp_pipeline.generation.meta.shards import read_shard, shard_files

_OUTSIDE = {
    "tok_embeddings": "model.embed_tokens",
    "norm": "model.norm",
    "output": "lm_head",
}
_INSIDE = {
    "attention.wq": "self_attn.q_proj",
    "attention.wk": "self_attn.k_proj",
    "attention.wv": "self_attn.v_proj",
    "attention.wo": "self_attn.o_proj",
    "feed_forward.w1": "mlp.gate_proj",
    "feed_forward.w2": "mlp.down_proj",
    "feed_forward.w3": "mlp.up_proj",
    "attention_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
}
_LAYER = re.compile(r"layers\.(\d+)\.")


class MetaCheckpoint:
    """A Meta checkpoint: `params.json` and the shards `consolidated.NN.pth`.

    Args:
        folder: Holds these files.

    Raises:
        CheckpointUnreadable: Files are missing, damaged or unsafe, or do not fit together.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self.params = read_params(folder)
        self._shards = [read_shard(file) for file in shard_files(folder)]
        self._names = self._checked_names()
        self._layout = MetaLayout(self._folder, self.params, self._shards)

    @property
    def vocab_size(self) -> int:
        """Rows of the embedding."""
        return self._layout.vocab_size

    @cached_property
    def tied(self) -> bool:
        """Whether the output head is the embedding: left out of the file, or its copy there."""
        if "output.weight" not in self._names:
            return True
        # Llama 3.2 is tied and writes the copy; comparing costs it a second, other models none.
        return self.params.use_scaled_rope and torch.equal(
            self._layout.merged("tok_embeddings.weight"), self._layout.merged("output.weight")
        )

    def config(self) -> Any:
        """The `LlamaConfig` of this checkpoint."""
        from transformers import LlamaConfig

        params = self.params
        make_config: Any = LlamaConfig  # rotary settings are in the types of transformers 4 alone
        return make_config(
            vocab_size=self.vocab_size,
            hidden_size=params.dim,
            intermediate_size=self._layout.intermediate_size,
            num_hidden_layers=params.n_layers,
            num_attention_heads=params.n_heads,
            num_key_value_heads=params.n_kv_heads,
            head_dim=params.head_dim,
            rms_norm_eps=params.norm_eps,
            rope_theta=params.rope_theta,
            rope_scaling=params.rope_scaling(tied=self.tied),
            max_position_embeddings=params.context,
            tie_word_embeddings=self.tied,
            architectures=["LlamaForCausalLM"],
        )

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Hugging Face's names and tensors, each put together when its turn comes."""
        for name in self._names:
            if name == "output.weight" and self.tied:
                continue
            tensor = self._layout.merged(name)
            if name.endswith(("wq.weight", "wk.weight")):
                tensor = halved_rotary(tensor, self.params.head_dim)
            yield _hugging_face_name(name), tensor

    def _checked_names(self) -> list[str]:
        """The names of the weights: all that a Llama has, and no other, the same in all shards."""
        first, *rest = ({n for n in shard if not _is_derived(n)} for shard in self._shards)
        for names in rest:
            if odd := first ^ names:
                raise ShardsDisagree(self._folder, min(odd), "not in all of them")
        layers = {int(m[1]) for name in first if (m := _LAYER.match(name))}
        if layers and max(layers) + 1 != self.params.n_layers:
            raise ParamsDisagree(
                self._folder, f"n_layers={self.params.n_layers}", str(max(layers) + 1)
            )
        expected = {f"{kind}.weight" for kind in _OUTSIDE} | {
            f"layers.{i}.{kind}.weight" for i in range(self.params.n_layers) for kind in _INSIDE
        }
        missing, unknown = expected - first - {"output.weight"}, first - expected
        if missing or unknown:
            raise TensorsUnknown(self._folder, sorted(missing), sorted(unknown))
        return [name for name in self._shards[0] if name in first]


def halved_rotary(weight: Tensor, head_dim: int) -> Tensor:
    """Rows of a query or key projection in Hugging Face's order.

    Meta rotates neighbours (0, 1), (2, 3), … as complex numbers, Hugging Face the two halves
    (0, d/2), (1, d/2 + 1), …: even rows of each head go first, odd rows second.

    Args:
        weight: Shape: (n_heads * head_dim, dim).
        head_dim: Rows of one head.
    """
    pairs = weight.view(-1, head_dim // 2, 2, weight.shape[1])
    return pairs.transpose(1, 2).reshape(weight.shape)


def _hugging_face_name(name: str) -> str:
    layer, inside = _LAYER.match(name), _LAYER.sub("", name).removesuffix(".weight")
    if layer is None:
        return f"{_OUTSIDE[inside]}.weight"
    return f"model.layers.{layer[1]}.{_INSIDE[inside]}.weight"


def _is_derived(name: str) -> bool:
    """Rotary frequencies, which Llama 1 and 2 wrote beside the weights."""
    return name.endswith("rope.freqs")
