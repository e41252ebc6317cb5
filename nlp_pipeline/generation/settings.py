"""How a Llama is loaded and run: checked before anything is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nlp_pipeline.errors.generation import InvalidModelSetting
from nlp_pipeline.generation import template_kwargs
from nlp_pipeline.generation.template_kwargs import TemplateKwargs
from nlp_pipeline.models import DEFAULT_MODEL

QUANTIZATIONS = ("int8", "int4", "int8_dynamic")


@dataclass(frozen=True)
class LlamaSettings:
    """What `Llama.build` is called with; equal settings share one loaded model.

    Attributes:
        model: A known model's name, a Hugging Face folder or hub name, a GGUF file, or a folder
            with Meta's own checkpoint.
        device: `auto` (CUDA, else MPS, else the CPU), `cpu`, `cuda`, `cuda:N` or `mps`.
        dtype: `auto` (bfloat16 on CUDA, else float32) or a dtype's name.
        max_batch_size: Sequences that run together.
        max_seq_len: Tokens of prompt and completion together; None for the model's own.
        threads: CPU threads; None leaves torch's choice.
        tensor_parallel_size: Processes that share the model; None takes all that torchrun started.
        device_map: `auto` spreads the model over all GPUs of this one process.
        quantization: `int8`, `int4` (extra `quant`) or `int8_dynamic` (on the CPU): lossy.
        cuda_graphs: Record decode steps and replay them; None does on CUDA in one process.
        async_scheduling: Launch a step before the last one is read; None does on CUDA.
        tokenizer: Another folder, hub name or `tokenizer.model` to take the tokenizer from.
        chat_template_kwargs: Variables for the chat template, such as `enable_thinking`.

    Raises:
        InvalidModelSetting: A value is of the wrong type or out of its range.
    """

    model: str = DEFAULT_MODEL
    device: str = "auto"
    dtype: str = "auto"
    max_batch_size: int = 32
    max_seq_len: int | None = None
    threads: int | None = None
    tensor_parallel_size: int | None = None
    device_map: str | None = None
    quantization: str | None = None
    cuda_graphs: bool | None = None
    async_scheduling: bool | None = None
    tokenizer: str | None = None
    chat_template_kwargs: Mapping[str, Any] = TemplateKwargs()

    def __post_init__(self) -> None:
        for name, kind, ok, allowed in _RANGES:
            value = getattr(self, name)
            if value is None and name in _OPTIONAL:
                continue
            typed = isinstance(value, kind) and isinstance(value, bool) == (kind is bool)
            if not typed or not ok(value):
                raise InvalidModelSetting(name, value, allowed)
        kwargs = TemplateKwargs(self.chat_template_kwargs)
        object.__setattr__(self, "chat_template_kwargs", kwargs)


_OPTIONAL = frozenset(
    (
        "max_seq_len",
        "threads",
        "tensor_parallel_size",
        "device_map",
        "quantization",
        "cuda_graphs",
        "async_scheduling",
        "tokenizer",
    )
)
_RANGES: tuple[tuple[str, type, Any, str], ...] = (
    ("model", str, bool, "a name or a path"),
    ("device", str, bool, "a device's name"),
    ("dtype", str, bool, "a dtype's name"),
    ("max_batch_size", int, lambda v: v >= 1, "an integer of at least 1"),
    ("max_seq_len", int, lambda v: v >= 2, "an integer of at least 2"),
    ("threads", int, lambda v: v >= 1, "an integer of at least 1"),
    ("tensor_parallel_size", int, lambda v: v >= 1, "an integer of at least 1"),
    ("device_map", str, lambda v: v == "auto", "auto or left out"),
    ("quantization", str, lambda v: v in QUANTIZATIONS, "int8, int4, int8_dynamic or left out"),
    ("cuda_graphs", bool, lambda v: True, "true, false or left out"),
    ("async_scheduling", bool, lambda v: True, "true, false or left out"),
    ("tokenizer", str, bool, "a folder, a hub name or a file"),
    ("chat_template_kwargs", Mapping, TemplateKwargs.possible, template_kwargs.ALLOWED),
)
