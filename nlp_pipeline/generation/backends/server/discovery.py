"""What a server says of itself at the start: which program it is, which model it serves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from nlp_pipeline.errors.generation import ModelError
from nlp_pipeline.errors.server import (
    ServerKeyRefused,
    ServerModelUnknown,
    ServerModelUnnamed,
    ServerUnreachable,
    ServerUnusable,
)
from nlp_pipeline.generation.backends.server.failures import Failure
from nlp_pipeline.generation.backends.server.settings import ServerSettings

PREFILLING = ("llamacpp", "vllm", "sglang")
"""Servers that go on from the beginning of an assistant's turn."""

OLLAMA = "library"
"""What Ollama calls the owner of its models."""

_FACTS = ("root", "n_params", "size", "ftype", "n_vocab", "quantization")
"""What a server says of a model that would change with its weights."""


@dataclass(frozen=True)
class ServedModel:
    """The model that requests go to.

    Attributes:
        name: As the server calls it.
        server: The program, where it says so: `llamacpp`, `vllm`, `sglang`, `library` (Ollama);
            else `unknown`.
        max_seq_len: Tokens of prompt and completion together, where it says so.
        facts: What else it says of the weights.
    """

    name: str
    server: str
    max_seq_len: int | None
    facts: Mapping[str, Any]


def served_model(
    answer: Mapping[str, Any] | Failure, settings: ServerSettings, *, has_key: bool
) -> ServedModel:
    """The model, from the answer to `GET /models`.

    Some gateways have no such list: then the model that the settings name is believed.

    Raises:
        ModelError: The server cannot be used; says why and what to do.
    """
    if isinstance(answer, Failure):
        if answer.status == 404 and settings.model:
            return ServedModel(settings.model, "unknown", settings.max_seq_len, facts={})
        raise unusable(answer, settings, has_key=has_key)
    listed = answer.get("data")
    entries = [e for e in listed if isinstance(e, dict)] if isinstance(listed, list) else []
    if not entries:
        raise ServerUnusable(settings.base_url, "its list of models (GET /models) is empty")
    entry = _entry(entries, settings)
    meta = entry.get("meta") if isinstance(entry.get("meta"), dict) else {}
    facts = {**entry, **(meta or {})}
    lengths = [settings.max_seq_len, facts.get("max_model_len"), facts.get("n_ctx")]
    return ServedModel(
        name=str(entry.get("id")),
        server=str(entry.get("owned_by") or "unknown").lower(),
        max_seq_len=next((n for n in lengths if isinstance(n, int) and n > 0), None),
        facts={name: facts[name] for name in _FACTS if _plain(facts.get(name))},
    )


def unusable(failure: Failure, settings: ServerSettings, *, has_key: bool) -> ModelError:
    """The error of a server that fails at the start."""
    if failure.kind in ("unreachable", "timeout"):
        return ServerUnreachable(settings.base_url, failure.reason)
    if failure.key_refused:
        return ServerKeyRefused(
            settings.base_url, settings.api_key_env, has_key, reason=failure.reason
        )
    return ServerUnusable(settings.base_url, failure.reason)


def _entry(entries: list[dict[str, Any]], settings: ServerSettings) -> dict[str, Any]:
    """The entry of the model that is asked for; of the only one where none is."""
    names = [str(entry.get("id")) for entry in entries]
    if not settings.model and len(entries) > 1:
        raise ServerModelUnnamed(settings.base_url, names)
    for entry, name in zip(entries, names, strict=True):
        aliases = entry.get("aliases") if isinstance(entry.get("aliases"), list) else []
        # Ollama lists `llama3.2:latest` and takes `llama3.2`; llama.cpp lists the path of a file.
        called = {name, name.removesuffix(":latest"), *map(str, aliases or [])}
        called.add(PurePath(name).name if name.endswith(".gguf") else name)
        if not settings.model or settings.model in called:
            return entry
    raise ServerModelUnknown(settings.base_url, settings.model, names)


def _plain(value: object) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)
