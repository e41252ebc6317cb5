"""The frequencies of Llama 3's rotary embedding, which a GGUF file keeps as a tensor.

transformers leaves that tensor out, and the model that it makes of the file is another one from
the first position on. A Hugging Face configuration says the same in four numbers.

Source: Dubey et al. 2024 (Llama 3), and llama.cpp's converter, which writes the tensor.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nlp_pipeline.errors.generation import CheckpointUnreadable
from nlp_pipeline.generation.loading.gguf_header import GgufHeader

TENSOR = "rope_freqs.weight"
LOW, HIGH, ORIGINAL = 1.0, 4.0, 8192
"""The same in Llama 3.1, 3.2 and 3.3, which differ in the factor alone."""


def restore_rope_scaling(file: Path, header: GgufHeader, config: Any) -> None:
    """Writes the scaling that a file's tensor stands for into a configuration.

    Raises:
        CheckpointUnreadable: It is of another kind.
    """
    if TENSOR not in header.tensors:
        return
    from gguf import GGUFReader

    (tensor,) = (tensor for tensor in GGUFReader(file).tensors if tensor.name == TENSOR)
    factors = torch.tensor(tensor.data, dtype=torch.float64).flatten()
    factor = float(factors.max())
    rope = getattr(config, "rope_parameters", None)
    theta = rope["rope_theta"] if rope else config.rope_theta
    if not torch.allclose(factors, scaled_periods(factor, float(theta), len(factors)), rtol=1e-3):
        raise CheckpointUnreadable(str(file), f"its {TENSOR} is no scaling of Llama 3's kind")
    scaling = {"rope_type": "llama3", "factor": factor, "low_freq_factor": LOW}
    scaling |= {"high_freq_factor": HIGH, "original_max_position_embeddings": ORIGINAL}
    if rope:  # transformers 5
        config.rope_parameters = {**rope, **scaling}
    else:
        config.rope_scaling = scaling


def scaled_periods(factor: float, theta: float, pairs: int) -> Tensor:
    """By how much each period of the rotary embedding is stretched. Shape: (pairs,)."""
    periods = 2 * math.pi * theta ** (torch.arange(pairs, dtype=torch.float64) / pairs)
    smooth = ((ORIGINAL / periods - LOW) / (HIGH - LOW)).clamp(0, 1)
    return 1 / ((1 - smooth) / factor + smooth)
