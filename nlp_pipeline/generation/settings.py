"""How a Llama is loaded and run: the one list of its settings, checked before anything is loaded.

Everything else that names a setting follows from the fields of `LlamaSettings`: the arguments of
the generator in a config, `--set generator.NAME`, the options of the command line, `PipelineSpec`,
the recipe of a golden output and the page of components. The keywords of `run` and `Llama.build`,
which are written out for whoever reads them, are held against the list by a test.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nlp_pipeline.errors.generation import InvalidModelSetting
from nlp_pipeline.generation import template_kwargs
from nlp_pipeline.generation.setting_fields import (
    count,
    names_with,
    setting,
    switch,
    wrong_values,
)
from nlp_pipeline.generation.template_kwargs import TemplateKwargs
from nlp_pipeline.models import DEFAULT_MODEL

QUANTIZATIONS = ("int8", "int4", "int8_dynamic")


@dataclass(frozen=True)
class LlamaSettings:
    """What `Llama.build` is called with; equal settings share one loaded model.

    Attributes:
        model: A known model's name, a Hugging Face folder or hub name, a GGUF file, or a folder
            with Meta's own checkpoint.
        tokenizer: Another folder, hub name or `tokenizer.model` to take the tokenizer from.
        device: `auto` (CUDA, else MPS, else the CPU), `cpu`, `cuda`, `cuda:N` or `mps`.
        dtype: `auto` (bfloat16 on CUDA, else float32) or a dtype's name.
        max_batch_size: Sequences that run together; None for what suits the device (256 on CUDA,
            else 64).
        max_batched_tokens: Tokens in one forward pass; None for what suits the device (8192 on
            CUDA, else 512).
        kv_cache_tokens: Tokens whose keys and values are kept at most; None for what the memory
            has room for.
        max_seq_len: Tokens of prompt and completion together; None for the model's own.
        threads: CPU threads; None leaves torch's choice.
        tensor_parallel_size: Processes that share the model; None takes all that torchrun started.
        device_map: `auto` spreads the model over all GPUs of this one process.
        quantization: `int8`, `int4` (extra `quant`) or `int8_dynamic` (on the CPU): lossy.
        cuda_graphs: Record decode steps and replay them; None does on CUDA in one process.
        async_scheduling: Launch a step before the last one is read; None does on CUDA.
        chat_template_kwargs: Variables for the chat template, such as `enable_thinking`.
        adapter: Folder of a LoRA adapter that was trained on this model, or the name of one that
            ships; `auto` is the one that ships for the model, if one does.

    Raises:
        InvalidModelSetting: A value is of the wrong type or out of its range.
    """

    model: str = setting(str, "a name or a path", bool, DEFAULT_MODEL, option=True, path=True)
    tokenizer: str | None = setting(str, "a folder, a hub name or a file", bool, path=True)
    device: str = setting(str, "a device's name", bool, "auto", option=True)
    dtype: str = setting(str, "a dtype's name", bool, "auto", option=True)
    max_batch_size: int | None = count()
    max_batched_tokens: int | None = count()
    kv_cache_tokens: int | None = count(2)
    max_seq_len: int | None = count(2)
    threads: int | None = count()
    tensor_parallel_size: int | None = count(option=True)
    device_map: str | None = setting(
        str, "auto or left out", lambda value: value == "auto", option=True
    )
    quantization: str | None = setting(
        str,
        "int8, int4, int8_dynamic or left out",
        lambda value: value in QUANTIZATIONS,
        option=True,
    )
    cuda_graphs: bool | None = switch()
    async_scheduling: bool | None = switch()
    chat_template_kwargs: Mapping[str, Any] = setting(
        Mapping, template_kwargs.ALLOWED, TemplateKwargs.possible, default=TemplateKwargs()
    )
    adapter: str | None = setting(
        str, "the folder or the name of an adapter", bool, option=True, path=True
    )

    def __post_init__(self) -> None:
        for wrong in wrong_values(self):
            raise InvalidModelSetting(wrong.name, wrong.value, wrong.allowed)
        kwargs = TemplateKwargs(self.chat_template_kwargs)
        object.__setattr__(self, "chat_template_kwargs", kwargs)


PATHS = names_with("path", LlamaSettings)
"""Settings that may be paths."""

OVERRIDES = names_with("option", LlamaSettings)
"""What a command line, a spec or a recipe may replace in every generator that has the setting."""

UNSEEN = ("max_batch_size", "max_batched_tokens", "kv_cache_tokens", "threads")
"""Settings that change how fast rows are made and never what stands in them."""
