"""A completion as plain JSON values, and a digest of all that can change it."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, fields, is_dataclass
from hashlib import blake2b
from typing import Any

from nlp_pipeline.generation.chat import Chat, Prompt
from nlp_pipeline.generation.interface import (
    Completion,
    EndedHypothesis,
    GenerationRequest,
    GeneratorInfo,
    TokenAlternative,
)

_OF_REQUEST = ("request_id", "error")
"""What says nothing of the completion itself, or is none."""


def generator_identity(info: GeneratorInfo) -> str:
    """A digest of who generates: model, device, dtype and what else can change an answer."""
    return _digest([info.backend, info.model, dict(info.details)])


def request_digest(identity: str, request: GenerationRequest) -> str | None:
    """A digest of all that the completion of a request depends on.

    Args:
        identity: Of the generator (`generator_identity`).
        request: Its id, its group and its position change nothing.

    Returns:
        None where it depends on something that cannot be written down, as a constraint that is no
        dataclass, or where there are several samples.
    """
    if request.params.n != 1:
        return None
    try:
        parts = [identity, _prompt(request.prompt), asdict(request.params)]
        return _digest([*parts, _constraint(request.constraint)])
    except (TypeError, ValueError):
        return None


def completion_values(completion: Completion) -> dict[str, Any]:
    """A completion as JSON values; those that have their default are left out."""
    values = asdict(completion)
    return {
        field.name: values[field.name]
        for field in fields(Completion)
        if field.name not in _OF_REQUEST and values[field.name] != field.default
    }


def completion_of(request_id: str, values: Mapping[str, Any]) -> Completion:
    """The completion that `completion_values` took down, for another request like its own."""
    arguments = dict(values)
    for name in ("token_ids", "logprobs", "prompt_token_ids", "prompt_logprobs"):
        arguments[name] = tuple(arguments.get(name, ()))
    arguments["hypotheses"] = tuple(map(_hypothesis, arguments.get("hypotheses", ())))
    arguments["top_logprobs"] = tuple(
        tuple(TokenAlternative(**alternative) for alternative in position)
        for position in arguments.get("top_logprobs", ())
    )
    return Completion(request_id=request_id, **arguments)


def _hypothesis(values: Mapping[str, Any]) -> EndedHypothesis:
    tuples = {name: tuple(values[name]) for name in ("token_ids", "logprobs")}
    return EndedHypothesis(**{**values, **tuples})


def _prompt(prompt: Prompt) -> list[Any]:
    if isinstance(prompt, str):
        return ["text", prompt]
    if isinstance(prompt, Chat):
        turns = [[message.role, message.content] for message in prompt.messages]
        return ["chat", turns, prompt.answer_prefix]
    return ["ids", [int(token) for token in prompt]]


def _constraint(constraint: Any) -> list[Any] | None:
    """A constraint's class and fields; those that begin with `_` only save time.

    Raises:
        TypeError: It has no fields.
    """
    if constraint is None:
        return None
    if not is_dataclass(constraint):
        raise TypeError(f"{type(constraint).__name__} is no dataclass")
    names = [field.name for field in fields(constraint) if not field.name.startswith("_")]
    kind = f"{type(constraint).__module__}.{type(constraint).__qualname__}"
    return [kind, {name: _plain(getattr(constraint, name)) for name in names}]


def _plain(value: Any) -> Any:
    """A value of a constraint as JSON has it; of a set the order says nothing."""
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, Collection) and not isinstance(value, str | bytes | Mapping | list):
        return list(value)
    return value


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, default=dict)
    return blake2b(text.encode("ascii"), digest_size=16).hexdigest()
