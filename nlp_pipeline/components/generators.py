"""The registry `llama_generators`: backends that a spaCy config can name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from spacy.util import registry

from nlp_pipeline.errors.generation import NoLoadedGenerator
from nlp_pipeline.generation.backends.echo import EchoGenerator
from nlp_pipeline.generation.backends.inprocess import BACKEND, LlamaGenerator, LlamaSettings
from nlp_pipeline.generation.backends.server import BACKEND as SERVER
from nlp_pipeline.generation.backends.server import ServerGenerator, ServerSettings
from nlp_pipeline.generation.interface import Generator
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
    max_batch_size: int = 32,
    max_seq_len: int | None = None,
    threads: int | None = None,
    tensor_parallel_size: int | None = None,
    device_map: str | None = None,
    quantization: str | None = None,
    cuda_graphs: bool | None = None,
    async_scheduling: bool | None = None,
    tokenizer: str | None = None,
    chat_template_kwargs: dict[str, Any] | None = None,
) -> LlamaGenerator:
    """The in-process Llama. The model is loaded when it is first needed.

    Args:
        model: A known model's name, a Hugging Face folder or hub name, a GGUF file, or a folder
            with Meta's own checkpoint.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        dtype: `auto` (bfloat16 on CUDA, else float32) or a dtype's name.
        max_batch_size: Sequences that run together.
        max_seq_len: Tokens of prompt and completion together; the model's own by default.
        threads: CPU threads; None leaves torch's choice.
        tensor_parallel_size: Processes that share the model; None takes all that torchrun started.
        device_map: `auto` spreads the model over all GPUs of this one process.
        quantization: `int8`, `int4` (extra `quant`) or `int8_dynamic` (on the CPU): lossy.
        cuda_graphs: Record decode steps and replay them; None does on CUDA in one process.
        async_scheduling: Launch a step before the last one is read; None does on CUDA.
        tokenizer: Another folder, hub name or `tokenizer.model` to take the tokenizer from.
        chat_template_kwargs: Variables for the chat template, such as `enable_thinking`.
    """
    settings = LlamaSettings(
        model,
        device,
        dtype,
        max_batch_size,
        max_seq_len,
        threads,
        tensor_parallel_size,
        device_map,
        quantization,
        cuda_graphs,
        async_scheduling,
        tokenizer,
        chat_template_kwargs or {},
    )
    return LlamaGenerator(settings)


@llama_generators(SERVER)
def make_server(
    base_url: str,
    model: str = "",
    api_key_env: str = "OPENAI_API_KEY",
    max_concurrency: int = 16,
    timeout_s: float = 120.0,
    max_retries: int = 5,
    max_seq_len: int | None = None,
    allow_plain_http: bool = False,
    continue_final_message: bool | None = None,
    logprobs: bool = True,
    control_tokens: list[str] | None = None,
    chat_template_kwargs: dict[str, Any] | None = None,
    tokenizer: str | None = None,
) -> ServerGenerator:
    """An OpenAI-compatible server. It is asked what it serves when it is first needed.

    Args:
        base_url: The API's address, such as `http://127.0.0.1:8000/v1`.
        model: The name the server knows the model by; empty for the only one it serves.
        api_key_env: Name of the environment variable with the key; never the key itself.
        max_concurrency: Requests under way at a time.
        timeout_s: Seconds for one attempt.
        max_retries: Further attempts after an overload, a server error or a lost connection.
        max_seq_len: Tokens of prompt and completion together; what the server says by default.
        allow_plain_http: Whether plain http may leave this machine.
        continue_final_message: Whether the answer prefix is sent; None where that is known to work.
        logprobs: Whether log-probabilities are asked for.
        control_tokens: Control tokens of the model beyond the well-known ones.
        chat_template_kwargs: Variables for the chat template, such as `enable_thinking`.
        tokenizer: The model's own tokenizer, to count prompts exactly.
    """
    settings = ServerSettings(
        base_url,
        model,
        api_key_env,
        max_concurrency,
        timeout_s,
        max_retries,
        max_seq_len,
        allow_plain_http,
        continue_final_message,
        logprobs,
        tuple(control_tokens or ()),
        chat_template_kwargs or {},
        tokenizer,
    )
    return ServerGenerator(settings)


@llama_generators("nlp_pipeline.loaded.v1")
def make_loaded(key: str) -> Generator:
    """A Llama that this process has loaded; `Llama.generator_block` writes the block.

    Args:
        key: What it is called here.
    """
    from nlp_pipeline.generation.llama import LOADED_HERE

    if key not in LOADED_HERE:
        raise NoLoadedGenerator(key)
    return LOADED_HERE[key]


@llama_generators(ECHO)
def make_echo(fail_on: str | None = None) -> EchoGenerator:
    """The echo generator: no model, the prompt's last words as answer. For tests.

    Args:
        fail_on: Prompts that hold this text fail.
    """
    return EchoGenerator(fail_on)
