"""How a Llama is loaded and run: the one list of its settings, checked before anything is loaded.

The generator's arguments in a config and the page of components follow from the fields of
`LlamaSettings`; `Llama.build`, the options of the command line and `PipelineSpec` are held against
them by a test.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from nlp_pipeline.errors.generation import InvalidModelSetting
from nlp_pipeline.generation import template_kwargs
from nlp_pipeline.generation.template_kwargs import TemplateKwargs
from nlp_pipeline.models import DEFAULT_MODEL

QUANTIZATIONS = ("int8", "int4", "int8_dynamic")


def _setting(
    type_: type, allowed: str, check: Callable[[Any], bool] = bool, default: Any = None
) -> Any:
    """A field with the type and the range of its values, where it is not left out."""
    return field(default=default, metadata={"type": type_, "allowed": allowed, "check": check})


def _count(least: int = 1) -> Any:
    return _setting(int, f"an integer of at least {least}", lambda value: value >= least)


def _switch() -> Any:
    return _setting(bool, "true, false or left out", lambda value: True)


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
            else 32).
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
        adapter: Folder of a LoRA adapter that was trained on this model, one at most.

    Raises:
        InvalidModelSetting: A value is of the wrong type or out of its range.
    """

    model: str = _setting(str, "a name or a path", default=DEFAULT_MODEL)
    tokenizer: str | None = _setting(str, "a folder, a hub name or a file")
    device: str = _setting(str, "a device's name", default="auto")
    dtype: str = _setting(str, "a dtype's name", default="auto")
    max_batch_size: int | None = _count()
    max_batched_tokens: int | None = _count()
    kv_cache_tokens: int | None = _count(2)
    max_seq_len: int | None = _count(2)
    threads: int | None = _count()
    tensor_parallel_size: int | None = _count()
    device_map: str | None = _setting(str, "auto or left out", lambda value: value == "auto")
    quantization: str | None = _setting(
        str, "int8, int4, int8_dynamic or left out", lambda value: value in QUANTIZATIONS
    )
    cuda_graphs: bool | None = _switch()
    async_scheduling: bool | None = _switch()
    chat_template_kwargs: Mapping[str, Any] = _setting(
        Mapping, template_kwargs.ALLOWED, TemplateKwargs.possible, default=TemplateKwargs()
    )
    adapter: str | None = _setting(str, "the folder of an adapter")

    def __post_init__(self) -> None:
        for setting in fields(self):
            value, facts = getattr(self, setting.name), setting.metadata
            if value is None and setting.default is None:
                continue
            type_ = facts["type"]
            typed = isinstance(value, type_) and isinstance(value, bool) == (type_ is bool)
            if not typed or not facts["check"](value):
                raise InvalidModelSetting(setting.name, value, facts["allowed"])
        kwargs = TemplateKwargs(self.chat_template_kwargs)
        object.__setattr__(self, "chat_template_kwargs", kwargs)


UNSEEN = ("max_batch_size", "max_batched_tokens", "kv_cache_tokens", "threads")
"""Settings that change how fast rows are made and never what stands in them."""
