"""What the factories of the Llama components share: the sampling settings, spelled out once."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any

from nlp_pipeline.errors.config import InvalidSetting
from nlp_pipeline.generation.interface import SamplingParams

_SETTINGS: dict[str, tuple[Any, Any]] = {
    "max_new_tokens": (int, 64),
    "temperature": (float, 0.0),
    "top_p": (float, 1.0),
    "top_k": (int, 0),
    "min_p": (float, 0.0),
    "repetition_penalty": (float, 1.0),
    "stop": (list[str], []),
    "seed": (int, 1),
}
SAMPLING: dict[str, Any] = {name: default for name, (_, default) in _SETTINGS.items()}
"""The settings of every component that samples, with their defaults; see `SamplingParams`."""


def takes_sampling(make: Callable[..., Any]) -> Callable[..., Any]:
    """Lets a factory take the sampling settings one by one and hands them on as `params`.

    spaCy checks a config against the factory's signature, so that it has to name them.
    """

    @wraps(make)
    def factory(**settings: Any) -> Any:
        values = {name: settings.pop(name) for name in _SETTINGS}
        return make(params=_sampling_params(settings["name"], **values), **settings)

    own = inspect.signature(make).parameters.values()
    parameters = [p.replace(kind=p.KEYWORD_ONLY) for p in own if p.name != "params"]
    for name, (type_, _) in _SETTINGS.items():
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
        raise InvalidSetting(component, "stop", stop, "a list of texts")
    return SamplingParams(**{**values, "stop": tuple(stop)})
