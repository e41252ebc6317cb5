"""Tiny Meta checkpoints with random weights, and the forward pass that Meta published for them.

The forward pass is written from the papers and from Meta's model code, not from Hugging Face's:
Touvron et al. 2023 (RMSNorm before each half of a block, SwiGLU, rotary embeddings), Su et al.
2021 (rotary embeddings as complex numbers on neighbouring pairs), Ainslie et al. 2023 (grouped
queries), and the scaled frequencies of Llama 3.1. Everything is float64, except what the published
code computes in float32 whatever the model is in: frequencies and the mean of squares.
"""

from __future__ import annotations

import base64
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import silu

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Shape:
    """A tiny Llama. Field names as in `params.json`, `width` and `vocabulary` beside them."""

    dim: int = 64
    n_layers: int = 2
    n_heads: int = 8
    n_kv_heads: int | None = None
    norm_eps: float = 1e-5
    rope_theta: float | None = None
    use_scaled_rope: bool | None = None
    width: int = 96
    vocabulary: int = 512

    @property
    def kv_heads(self) -> int:
        return self.n_kv_heads or self.n_heads

    @property
    def head_dim(self) -> int:
        return self.dim // self.n_heads

    def params(self, **changes: Any) -> dict[str, Any]:
        values = {**asdict(self), "vocab_size": -1, "multiple_of": 32, **changes}
        del values["width"], values["vocabulary"]
        return {name: value for name, value in values.items() if value is not None}


def random_weights(
    shape: Shape, *, tied: bool = False, dtype: torch.dtype = torch.float64
) -> Weights:
    """Weights by Meta's names, whole."""
    chance = torch.Generator().manual_seed(7)

    def matrix(rows: int, columns: int, scale: float = 0.15) -> Tensor:
        return torch.randn(rows, columns, generator=chance, dtype=torch.float64) * scale

    def norm() -> Tensor:
        return 1 + 0.3 * torch.randn(shape.dim, generator=chance, dtype=torch.float64)

    keys = shape.kv_heads * shape.head_dim
    weights = {"tok_embeddings.weight": matrix(shape.vocabulary, shape.dim, 1.0)}
    for layer in range(shape.n_layers):
        inside = {
            "attention.wq": matrix(shape.dim, shape.dim, 0.4),
            "attention.wk": matrix(keys, shape.dim, 0.4),
            "attention.wv": matrix(keys, shape.dim),
            "attention.wo": matrix(shape.dim, shape.dim),
            "feed_forward.w1": matrix(shape.width, shape.dim),
            "feed_forward.w2": matrix(shape.dim, shape.width),
            "feed_forward.w3": matrix(shape.width, shape.dim),
            "attention_norm": norm(),
            "ffn_norm": norm(),
        }
        weights |= {f"layers.{layer}.{name}.weight": tensor for name, tensor in inside.items()}
    weights["norm.weight"] = norm()
    if not tied:
        weights["output.weight"] = matrix(shape.vocabulary, shape.dim)
    return {name: tensor.to(dtype) for name, tensor in weights.items()}


def shards_of(weights: Weights, shape: Shape, count: int, *, embedding_axis: int) -> list[Weights]:
    """What each of `count` processes of a model-parallel run holds."""
    shards: list[Weights] = [{} for _ in range(count)]
    for name, tensor in weights.items():
        kind = name.split(".")[-2]
        if kind == "tok_embeddings":
            parts = tensor.chunk(count, dim=embedding_axis)
        elif kind in ("wo", "w2"):
            parts = tensor.chunk(count, dim=1)
        elif kind in ("wk", "wv") and count > shape.kv_heads:
            heads = tensor.view(shape.kv_heads, shape.head_dim, shape.dim)
            parts = tuple(heads.repeat_interleave(count // shape.kv_heads, dim=0))
        elif kind in ("wq", "wk", "wv", "w1", "w3", "output"):
            parts = tensor.chunk(count, dim=0)
        else:
            parts = (tensor,) * count
        for shard, part in zip(shards, parts, strict=True):
            shard[name] = part.clone()
    return shards


def write_checkpoint(
    folder: Path,
    shape: Shape,
    weights: Weights,
    *,
    shards: int = 1,
    embedding_axis: int = 0,
    tokenizer: bool = True,
    **params: Any,
) -> str:
    """Writes the files of a Meta checkpoint and gives the folder."""
    folder.mkdir(exist_ok=True)
    parts = shards_of(weights, shape, shards, embedding_axis=embedding_axis)
    for number, part in enumerate(parts):
        torch.save(part, folder / f"consolidated.{number:02}.pth")
    (folder / "params.json").write_text(json.dumps(shape.params(**params)))
    if tokenizer:  # one token for each byte, and Llama 3's 256 special ones
        lines = [base64.b64encode(bytes([byte])) + b" %d\n" % byte for byte in range(256)]
        (folder / "tokenizer.model").write_bytes(b"".join(lines))
    return str(folder)


def reference_logits(
    shape: Shape, weights: Weights, ids: list[int], *, factor: float = 8.0
) -> Tensor:
    """Logits of every position. Shape: (len(ids), vocabulary)."""
    rotation = rotations(shape, len(ids), factor)
    hidden = weights["tok_embeddings.weight"][ids]
    for layer in range(shape.n_layers):
        part = {
            name.removeprefix(f"layers.{layer}."): tensor
            for name, tensor in weights.items()
            if name.startswith(f"layers.{layer}.")
        }
        normed = rms_norm(hidden, part["attention_norm.weight"], shape.norm_eps)
        hidden = hidden + attention(normed, part, shape, rotation)
        normed = rms_norm(hidden, part["ffn_norm.weight"], shape.norm_eps)
        gate = silu(normed @ part["feed_forward.w1.weight"].T)
        hidden = hidden + (gate * (normed @ part["feed_forward.w3.weight"].T)) @ (
            part["feed_forward.w2.weight"].T
        )
    hidden = rms_norm(hidden, weights["norm.weight"], shape.norm_eps)
    return hidden @ weights.get("output.weight", weights["tok_embeddings.weight"]).T


def rms_norm(hidden: Tensor, weight: Tensor, eps: float) -> Tensor:
    wide = hidden.float()
    return (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps)).to(hidden) * weight


def rotations(shape: Shape, length: int, factor: float) -> Tensor:
    """One complex number per position and pair. Shape: (length, head_dim // 2)."""
    steps = torch.arange(0, shape.head_dim, 2).float() / shape.head_dim
    frequencies = 1.0 / ((shape.rope_theta or 10_000.0) ** steps)
    if shape.use_scaled_rope:
        frequencies = torch.tensor([scaled(f, factor) for f in frequencies.tolist()])
    angles = torch.outer(torch.arange(length).float(), frequencies)
    return torch.polar(torch.ones_like(angles), angles).to(torch.complex128)


def scaled(frequency: float, factor: float) -> float:
    """Llama 3.1: waves longer than 8,192 are slowed down, those under 2,048 are not."""
    wave, original, low, high = 2 * math.pi / frequency, 8192, 1, 4
    if wave < original / high:
        return frequency
    if wave > original / low:
        return frequency / factor
    smooth = (original / wave - low) / (high - low)
    return (1 - smooth) * frequency / factor + smooth * frequency


def attention(hidden: Tensor, part: Weights, shape: Shape, rotation: Tensor) -> Tensor:
    """Causal attention over grouped queries, one head at a time."""
    length, size = len(hidden), shape.head_dim
    query = turned((hidden @ part["attention.wq.weight"].T).view(length, -1, size), rotation)
    key = turned((hidden @ part["attention.wk.weight"].T).view(length, -1, size), rotation)
    value = (hidden @ part["attention.wv.weight"].T).view(length, -1, size)
    future = torch.ones(length, length).triu(1).bool()
    outputs = []
    for head in range(shape.n_heads):
        shared = head // (shape.n_heads // shape.kv_heads)
        scores = query[:, head] @ key[:, shared].T / math.sqrt(size)
        chances = scores.masked_fill(future, -math.inf).softmax(-1)
        outputs.append(chances @ value[:, shared])
    return torch.cat(outputs, dim=-1) @ part["attention.wo.weight"].T


def turned(heads: Tensor, rotation: Tensor) -> Tensor:
    """Rotates neighbouring pairs as complex numbers. Shape: (length, heads, head_dim)."""
    pairs = torch.view_as_complex(heads.reshape(*heads.shape[:-1], -1, 2))
    return torch.view_as_real(pairs * rotation[:, None]).flatten(-2)
