"""The draw at the end of a sampler, from noise that depends on the request alone."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from nlp_pipeline.generation.engine.transfer import upload
from nlp_pipeline.generation.sequence import Sequence

Draw = Callable[[Tensor, list[Sequence]], Tensor]
"""Token ids, shape (rows,), from processed logits of shape (rows, vocabulary)."""


def take_likeliest(logits: Tensor, sequences: list[Sequence]) -> Tensor:
    """The likeliest token of the logits that the processors have changed."""
    return logits.argmax(-1)


def draw_by_noise(logits: Tensor, sequences: list[Sequence]) -> Tensor:
    """Inverts the cumulative distribution at one uniform number per row.

    The number is made from the seed, the sample and the position only, so a request draws the
    same whatever else is in the batch. In double precision where the device has it.
    """
    precise = torch.float32 if logits.device.type == "mps" else torch.float64
    cumulative = logits.to(precise).softmax(-1).cumsum(-1)
    noise = [uniform(s.params.seed + s.sample, len(s.output_ids) + s.unread) for s in sequences]
    points = upload(noise, logits.device, precise)[:, None]
    tokens = torch.searchsorted(cumulative, points * cumulative[:, -1:], right=True)[:, 0]
    return tokens.clamp(max=logits.shape[-1] - 1)


def uniform(seed: int, index: int) -> float:
    """The `index`-th number of a stream, in [0, 1): SplitMix64 (Steele et al., 2014) as a hash."""
    return (_mixed(_mixed(seed) + index) >> 11) / 2**53


def _mixed(number: int) -> int:
    word = (number + 0x9E3779B97F4A7C15) % 2**64
    word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    word = (word ^ (word >> 27)) * 0x94D049BB133111EB % 2**64
    return word ^ (word >> 31)
