"""The registry `llama_generators`: backends that a spaCy config can name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from spacy.util import registry

from nlp_pipeline.generation.backends.echo import EchoGenerator
from nlp_pipeline.generation.backends.inprocess import BACKEND, LlamaGenerator, LlamaSettings
from nlp_pipeline.models import DEFAULT_MODEL

_Maker = TypeVar("_Maker", bound=Callable[..., Any])

ECHO = "nlp_pipeline.echo.v1"

if not hasattr(registry, "llama_generators"):
    registry.create("llama_generators", entry_points=True)


def llama_generators(name: str) -> Callable[[_Maker], _Maker]:
    """Registers a function that makes a `Generator`, under a name that a config can use."""
    register: Callable[[_Maker], _Maker] = registry.llama_generators.register(name)  # type: ignore[attr-defined]
    return register


DEFAULT_GENERATOR: dict[str, Any] = {"@llama_generators": BACKEND, "model": DEFAULT_MODEL}


@llama_generators(BACKEND)
def make_llama(
    model: str = DEFAULT_MODEL,
    device: str = "auto",
    dtype: str = "auto",
    max_batch_size: int = 16,
    max_seq_len: int | None = None,
    threads: int | None = None,
) -> LlamaGenerator:
    """The in-process Llama. The model is loaded when it is first needed.

    Args:
        model: A known model's name, a Hugging Face folder or hub name, or a GGUF file.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        dtype: `auto` (bfloat16 on CUDA, else float32) or a dtype's name.
        max_batch_size: Sequences that run together.
        max_seq_len: Tokens of prompt and completion together; the model's own by default.
        threads: CPU threads; None leaves torch's choice.
    """
    return LlamaGenerator(LlamaSettings(model, device, dtype, max_batch_size, max_seq_len, threads))


@llama_generators(ECHO)
def make_echo(fail_on: str | None = None) -> EchoGenerator:
    """The echo generator: no model, the prompt's last words as answer. For tests.

    Args:
        fail_on: Prompts that hold this text fail.
    """
    return EchoGenerator(fail_on)
