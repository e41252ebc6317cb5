"""Our attention inside Hugging Face's modules: registered once, in place for one call.

The model stays as `transformers` made it. A packed batch travels through the model's forward as
a keyword argument, and every layer's attention hands its queries, keys and values to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

NAME = "nlp_pipeline_packed"
"""Under this name `transformers` finds the attention, and no mask function: it makes no mask."""

TESTED_TYPES = frozenset({"llama", "mistral", "qwen2", "qwen3"})
"""`config.model_type` of the architectures that are tested to run unchanged."""

STATIC_ROPE = frozenset({"default", "linear", "llama3", "yarn"})
"""Rotary embeddings in which a token's angle depends on its own position alone."""


class PackedAttention(Protocol):
    """What the attention of every layer is handed to."""

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """Attends over everything computed so far.

        Args:
            layer: 0-based index.
            query: Shape (1, heads, T, head_dim), rotated.
            key: Shape (1, kv_heads, T, head_dim), rotated.
            value: Shape (1, kv_heads, T, head_dim).
            scale: The scores are multiplied by this.

        Returns:
            Shape (1, T, heads, head_dim).
        """
        ...


def packed_attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    packed: PackedAttention,
    **_: Any,
) -> tuple[Tensor, None]:
    """An attention function as `transformers` calls it. Shapes as in `PackedAttention.attend`."""
    return packed.attend(module.layer_idx, query, key, value, scaling), None


@contextmanager
def attention_replaced(model: Any) -> Iterator[None]:
    """The model attends through `packed_attention`, and as before afterwards."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, packed_attention)
    config = model.config
    own_attention = config._attn_implementation
    config._attn_implementation = NAME
    try:
        yield
    finally:
        config._attn_implementation = own_attention


class HFDecoder:
    """Hidden states of a batch by the model's own modules, with our attention in them.

    Args:
        model: A causal language model that `supports` accepts.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._decoder = model.get_decoder()

    def __call__(self, batch: Any) -> Tensor:
        """Hidden states after the last norm. Shape: (T, hidden)."""
        with attention_replaced(self._model):
            hidden_states: Tensor = self._decoder(
                input_ids=batch.ids, position_ids=batch.positions, use_cache=False, packed=batch
            ).last_hidden_state[0]
        return hidden_states


def supports(model: Any, max_seq_len: int | None = None) -> bool:
    """Whether the engine can run the model; else plain batches must.

    Args:
        model: A causal language model.
        max_seq_len: The longest sequence that will be run; by default the model's context.

    Not so for wrapped models and untested architectures, for layers on several devices, for
    attention windows shorter than a sequence, and for rotary embeddings that change with the
    longest sequence of a batch.
    """
    config: Any = getattr(model, "config", None)
    if getattr(config, "model_type", None) not in TESTED_TYPES:
        return False
    if not type(model).__name__.endswith("ForCausalLM") or model.training:
        return False
    if len(set(getattr(model, "hf_device_map", {}).values())) > 1:
        return False
    longest = max_seq_len or config.max_position_embeddings
    return not _has_window(config, longest) and _rope_type(config) in STATIC_ROPE


def _has_window(config: Any, longest: int) -> bool:
    if config.model_type.startswith("qwen") and not getattr(config, "use_sliding_window", False):
        return False
    window = getattr(config, "sliding_window", None)
    return window is not None and window < longest


def _rope_type(config: Any) -> str:
    # transformers 5 calls it rope_parameters.
    scaling = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None)
    scaling = scaling or {}
    return str(scaling.get("rope_type", scaling.get("type", "default")))


@dataclass(frozen=True, slots=True)
class LayerShape:
    """What one layer keeps of a token."""

    kv_heads: int
    head_dim: int
    dtype: torch.dtype
    device: torch.device

    @property
    def bytes_per_token(self) -> int:
        """Bytes of one token's key and value together, in this layer."""
        return 2 * self.kv_heads * self.head_dim * self.dtype.itemsize


class ShapeProbe:
    """Notes the shape of every layer's keys during one forward pass, and attends to nothing.

    Asking the model itself holds for heads split over processes and layers over devices too.
    """

    def __init__(self) -> None:
        self.layers: dict[int, LayerShape] = {}

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """Notes, and returns zeros."""
        self.layers[layer] = LayerShape(key.shape[1], key.shape[3], key.dtype, device=key.device)
        return torch.zeros_like(query.transpose(1, 2))


@torch.inference_mode()
def layer_shapes(model: Any) -> list[LayerShape]:
    """The shapes of all layers, found by a forward pass of one token."""
    probe = ShapeProbe()
    ids = torch.zeros(1, 1, dtype=torch.long, device=model.device)
    with attention_replaced(model):
        model.get_decoder()(input_ids=ids, position_ids=ids, use_cache=False, packed=probe)
    return [probe.layers[layer] for layer in sorted(probe.layers)]
