"""The two bodies of attention over pages, and the choice between them."""

from __future__ import annotations

import logging
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from nlp_pipeline.generation.engine.attention.reference_body import ReferenceBody
from nlp_pipeline.generation.engine.hf_attention import LayerShape

if TYPE_CHECKING:
    from nlp_pipeline.generation.engine.attention.paged_batch import PagedStep

logger = logging.getLogger(__name__)

OLDEST_CAPABILITY = (8, 0)
"""Compute capability of Ampere: before it there is no bfloat16 in the tensor cores."""


class LayerBody(Protocol):
    """What a layer does besides its matrix products and attention. T are the tokens of a step."""

    def add_norm(
        self, hidden_states: Tensor, residual: Tensor | None, weight: Tensor, eps: float
    ) -> tuple[Tensor, Tensor]:
        """Adds to the residual stream and normalizes it (RMSNorm; Zhang and Sennrich, 2019).

        Args:
            hidden_states: Shape (T, hidden).
            residual: Likewise; may be overwritten. None: `hidden_states` is the residual stream.
            weight: Shape (hidden,).
            eps: Added to the mean square.

        Returns:
            The normalized stream, and the stream itself.
        """
        ...

    def silu_mul(self, gate_up: Tensor) -> Tensor:
        """SiLU of the first half times the second. Shape (T, 2 * size) to (T, size)."""
        ...


class AttentionBody(LayerBody, Protocol):
    """What a layer over pages does besides its matrix products. T are the tokens of a step.

    Attributes:
        name: `triton` or `reference`.
    """

    name: str

    def store(self, memory: Tensor, key: Tensor, value: Tensor, slots: Tensor) -> None:
        """Writes new keys and values to their pages.

        Args:
            memory: Of one layer. Shape (2, pages, kv_heads, page, head_dim).
            key: Shape (T, kv_heads, head_dim), rotated.
            value: Shape (T, kv_heads, head_dim).
            slots: Where each token goes: page id times page size plus the place in the page.
        """
        ...

    def attend(self, memory: Tensor, query: Tensor, step: PagedStep, scale: float) -> Tensor:
        """Attends every token to its own sequence, up to itself.

        Args:
            memory: Of one layer, the new keys and values written.
            query: Shape (T, heads, head_dim), rotated.
            step: Where the tokens stand.
            scale: The scores are multiplied by this.

        Returns:
            Shape (T, heads, head_dim).
        """
        ...

    def rotate_and_store(
        self, memory: Tensor, qkv: Tensor, cos: Tensor, sin: Tensor, slots: Tensor, heads: int
    ) -> Tensor:
        """Rotates queries and keys, and writes keys and values to their pages.

        Args:
            memory: Of one layer.
            qkv: Queries, keys and values side by side; may be overwritten.
                Shape (T, (heads + 2 * kv_heads) * head_dim).
            cos: Shape (T, head_dim).
            sin: Shape (T, head_dim).
            slots: As of `store`.
            heads: Query heads.

        Returns:
            The rotated queries. Shape (T, heads, head_dim).
        """
        ...

    def likeliest(self, logits: Tensor, tokens: Tensor, table: Tensor) -> None:
        """The likeliest token of every row, and its log-probability.

        Args:
            logits: Shape (rows, vocabulary).
            tokens: Written to. Shape (rows,).
            table: Written to: token and log-probability. Shape (rows, 2).
        """
        ...


def choose_body(shape: LayerShape) -> AttentionBody:
    """The Triton body where it can run, else the reference; says why once where CUDA is slower."""
    if shape.device.type != "cuda":
        return ReferenceBody()
    reason = _why_not_triton(shape)
    if reason is None:
        from nlp_pipeline.generation.engine.attention.triton_body import TritonBody

        return TritonBody()
    logger.warning(
        "Attention on %s runs in torch's operations, which is slower: %s.", shape.device, reason
    )
    return ReferenceBody()


def _why_not_triton(shape: LayerShape) -> str | None:
    if shape.dtype == torch.float64:
        return "the Triton kernels compute in float32"
    capability = torch.cuda.get_device_capability(shape.device)
    if capability < OLDEST_CAPABILITY:
        have, need = (".".join(map(str, version)) for version in (capability, OLDEST_CAPABILITY))
        return f"the GPU has compute capability {have}, and the Triton kernels need {need}"
    if find_spec("triton") is None:
        return "the package triton is missing (pip install triton)"
    return None
