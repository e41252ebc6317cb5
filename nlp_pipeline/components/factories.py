"""What the factories of the Llama components share: the sampling settings, spelled out once."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import wraps
from typing import Any, get_type_hints

from nlp_pipeline.errors.config import InvalidSetting
from nlp_pipeline.generation.interface import SamplingParams

_NAMES = (
    *("max_new_tokens", "temperature", "top_p", "top_k", "min_p"),
    *("repetition_penalty", "stop", "seed"),
)
_TYPES = get_type_hints(SamplingParams) | {"stop": list[str]}
_SETTINGS: dict[str, tuple[Any, Any]] = {
    name: (_TYPES[name], list(default) if isinstance(default, tuple) else default)
    for name, default in ((f.name, f.default) for f in fields(SamplingParams))
    if name in _NAMES
}
SAMPLING: dict[str, Any] = {name: default for name, (_, default) in _SETTINGS.items()}
"""The settings of every component that samples, with their defaults; see `SamplingParams`."""


def takes_sampling(
    make: Callable[..., Any], *, budget: Callable[[Mapping[str, Any]], int] | None = None
) -> Callable[..., Any]:
    """Lets a factory take the sampling settings one by one and hands them on as `params`.

    spaCy checks a config against the factory's signature, so that it has to name them.

    Args:
        make: The factory.
        budget: Knows `max_new_tokens` from the factory's other settings where the config has null
            there; without it null is refused like any other value that is no number.
    """

    @wraps(make)
    def factory(**settings: Any) -> Any:
        values = {name: settings.pop(name) for name in _SETTINGS}
        if budget is not None and values["max_new_tokens"] is None:
            values["max_new_tokens"] = budget(settings)
        return make(params=_sampling_params(settings["name"], **values), **settings)

    own = inspect.signature(make).parameters.values()
    parameters = [p.replace(kind=p.KEYWORD_ONLY) for p in own if p.name != "params"]
    optional = {"max_new_tokens"} if budget is not None else set()
    for name, (setting_type, _) in _SETTINGS.items():
        type_ = setting_type | None if name in optional else setting_type
        parameters.append(inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=type_))
    factory.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return factory


def _sampling_params(component: str, **values: Any) -> SamplingParams:
    """`SamplingParams` from a component's settings.

    Raises:
        InvalidSetting: A value is of the wrong type or out of its range.
    """
    stop = values.get("stop", ())
    if isinstance(stop, str) or not isinstance(stop, list | tuple):
        raise InvalidSetting(component, "stop", stop, allowed="a list of texts")
    return SamplingParams(**{**values, "stop": tuple(stop)})
