"""Weights in 8 or 4 bits, for models that are larger than the memory: lossy, and off by default.

Every projection inside the blocks becomes one of bitsandbytes' (extra `quant`); embedding, norms
and head stay as they are. It is done after loading, so it works for every format and for the part
of a model that one rank holds. Written to keep the promise that an answer does not depend on its
batch: 8 bits without LLM.int8's outlier columns (`threshold=0`), which are chosen over all rows.

Measured with bitsandbytes 0.50.2 on the CPU, default model, texts of corpora/varied.jsonl:
8 bits, 3,775 tokens: perplexity 61.6 → 63.8, the likeliest token stays so at 87% of the positions;
4 bits, 1,215 tokens: 57.0 → 71.5, 69%, about 7 times the CPU time of float32. It saves memory;
on a CPU it costs time; nothing of it was measured on a GPU.

`int8_dynamic` needs no package: it multiplies in 8 bits, on the CPU, to save time (`dynamic_int8`;
docs/devices.md has what it does to speed and answers).

Sources: Dettmers et al. 2022 (LLM.int8), Dettmers et al. 2023 (QLoRA: NF4).
"""

from __future__ import annotations

import importlib
import logging
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn

from nlp_pipeline.errors.generation import InvalidModelSetting
from nlp_pipeline.errors.meta import PackageMissing
from nlp_pipeline.generation.loading.dynamic_int8 import DynamicInt8Linear
from nlp_pipeline.generation.settings import QUANTIZATIONS

DYNAMIC = "int8_dynamic"


def check_quantization(kind: str | None, device: torch.device) -> None:
    """Refuses what cannot be done before anything is loaded.

    Raises:
        InvalidModelSetting: The kind is unknown, or the device can neither.
        PackageMissing: bitsandbytes is not installed.
    """
    if kind is None:
        return
    if kind not in QUANTIZATIONS:
        raise InvalidModelSetting("quantization", kind, "int8, int4, int8_dynamic or left out")
    if kind == DYNAMIC:
        if device.type != "cpu":
            raise InvalidModelSetting("quantization", kind, f"for the device cpu, not {device}")
        return
    if device.type not in ("cuda", "cpu"):
        raise InvalidModelSetting("quantization", kind, f"left out on the device {device}")
    _bitsandbytes()


def quantize(model: Any, kind: str, device: torch.device) -> None:
    """Replaces the projections of the blocks, one at a time, and takes them to the device.

    Args:
        model: A causal language model of transformers, in its full weights.
        kind: One of `QUANTIZATIONS`.
        device: Where the small weights go.
    """
    make = _maker(kind)
    for parent in list(model.base_model.layers.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Linear):
                small = make(child).to(device)
                # What was hung on the old one (the sum over the ranks) goes over to the new one.
                small._forward_hooks.update(child._forward_hooks)
                setattr(parent, name, small)


def _maker(kind: str) -> Callable[[nn.Linear], nn.Module]:
    if kind == DYNAMIC:
        return DynamicInt8Linear
    return partial(_linear8 if kind == "int8" else _linear4, _bitsandbytes())


def _linear8(library: Any, linear: nn.Linear) -> nn.Module:
    small: nn.Module = library.nn.Linear8bitLt(
        linear.in_features,
        linear.out_features,
        bias=linear.bias is not None,
        has_fp16_weights=False,
        threshold=0.0,
        device="meta",
    )
    small.weight = library.nn.Int8Params(
        linear.weight.data, requires_grad=False, has_fp16_weights=False
    )
    small.bias = linear.bias
    return small


def _linear4(library: Any, linear: nn.Linear) -> nn.Module:
    small: nn.Module = library.nn.Linear4bit(
        linear.in_features,
        linear.out_features,
        bias=linear.bias is not None,
        compute_dtype=linear.weight.dtype,
        quant_type="nf4",
        device="meta",
    )
    small.weight = library.nn.Params4bit(
        linear.weight.data, requires_grad=False, quant_type="nf4", module=small
    )
    small.bias = linear.bias
    return small


def _bitsandbytes() -> Any:
    # It tells with every product that it converts its inputs.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it tells of every GPU library that is not there
            return importlib.import_module("bitsandbytes")
    except Exception as error:  # a wheel for another CUDA fails in many ways
        raise PackageMissing(
            "quantization", "bitsandbytes", "quant", reason=str(error)[:200]
        ) from error
