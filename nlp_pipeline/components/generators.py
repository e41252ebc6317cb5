"""The registry `llama_generators`: backends that a spaCy config can name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields
from functools import wraps
from inspect import Parameter, Signature
from typing import Any, TypeVar, get_type_hints

from spacy.util import registry

from nlp_pipeline.errors.generation import NoLoadedGenerator
from nlp_pipeline.generation.backends.echo import EchoGenerator
from nlp_pipeline.generation.backends.inprocess import BACKEND, LlamaGenerator, LlamaSettings
from nlp_pipeline.generation.backends.llama_cpp import BACKEND as LLAMA_CPP
from nlp_pipeline.generation.backends.llama_cpp import LlamaCppGenerator, LlamaCppSettings
from nlp_pipeline.generation.backends.llama_cpp.memory_fit import packed_instead
from nlp_pipeline.generation.backends.server import BACKEND as SERVER
from nlp_pipeline.generation.backends.server import ServerGenerator, ServerSettings
from nlp_pipeline.generation.interface import Generator
from nlp_pipeline.keywords import known_keywords
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


def takes_fields(settings: type) -> Callable[[Callable[[Any], Any]], Callable[..., Any]]:
    """Lets a function take the fields of a settings dataclass one by one.

    spaCy checks a config against the function's signature, so that it has to name them.
    """
    types = get_type_hints(settings)
    parameters = [_parameter(field, types[field.name]) for field in fields(settings)]
    containers = {f.name for f in fields(settings) if isinstance(f.default, tuple | Mapping)}
    tuples = {field.name for field in fields(settings) if isinstance(field.default, tuple)}

    def decorate(make: Callable[[Any], Any]) -> Callable[..., Any]:
        @wraps(make)
        def function(**values: Any) -> Any:
            given = {k: v for k, v in values.items() if v is not None or k not in containers}
            return make(settings(**{k: tuple(v) if k in tuples else v for k, v in given.items()}))

        function.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
        return known_keywords(function)

    return decorate


def _parameter(field: Field[Any], type_: Any) -> Parameter:
    """A field as an argument that a config can write: a tuple or a mapping is null by default."""
    default = Parameter.empty if field.default is MISSING else field.default
    if isinstance(default, tuple):
        default, type_ = None, list[str] | None
    elif isinstance(default, Mapping):
        default, type_ = None, dict[str, Any] | None
    return Parameter(field.name, Parameter.KEYWORD_ONLY, default=default, annotation=type_)


@llama_generators(BACKEND)
@takes_fields(LlamaSettings)
def make_llama(settings: LlamaSettings) -> LlamaGenerator | LlamaCppGenerator:
    """The in-process Llama. The model is loaded when it is first needed.

    A GGUF file that does not fit the memory unpacked is run by llama.cpp.
    """
    return packed_instead(settings) or LlamaGenerator(settings)


@llama_generators(LLAMA_CPP)
@takes_fields(LlamaCppSettings)
def make_packed(settings: LlamaCppSettings) -> LlamaCppGenerator:
    """A GGUF file, packed as it is, run by llama.cpp. It is loaded when it is first needed."""
    return LlamaCppGenerator(settings)


@llama_generators(SERVER)
@takes_fields(ServerSettings)
def make_server(settings: ServerSettings) -> ServerGenerator:
    """An OpenAI-compatible server. It is asked what it serves when it is first needed."""
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
