"""What an adapter that ships was trained for: the settings of components that use it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import copy, deepcopy
from typing import Any

from confection import Config
from spacy.language import Language

from nlp_pipeline.models import AUTO, KNOWN_ADAPTERS, KnownAdapter, adapter_name
from nlp_pipeline.pipeline.overrides import components


def suit_adapter(component: dict[str, Any]) -> None:
    """Names the adapter that a component gets for `auto`, and sets what suits it.

    That is the one that ships for the model, of components that it was trained for. What a run was
    made with so stands in its config, and a model without an adapter has null there, and its
    settings as ever. A setting that is not at its default stays.

    Args:
        component: With a generator block; changed in place.
    """
    generator = component["generator"]
    if generator.get("adapter") == AUTO:
        name = adapter_name(AUTO, str(generator.get("model")))
        if name is not None:
            # Interpolation may have put one block into two components, of which one goes without.
            generator = component["generator"] = copy(generator)
            if KNOWN_ADAPTERS[name].component != component.get("factory"):
                name = None
        generator["adapter"] = name
    entry = _trained_for(component)
    if entry is None:
        return
    defaults = Language.get_factory_meta(entry.component).default_config or {}
    for name, value in entry.settings.items():
        if component.get(name) == defaults.get(name):
            component[name] = deepcopy(value)


def suited(config: Config) -> list[str]:
    """The settings of a resolved config that an adapter brought, as `--set` takes them."""
    lines: list[str] = []
    for name, component in components(config).items():
        entry = _trained_for(component)
        settings: Mapping[str, Any] = {} if entry is None else entry.settings
        lines += [
            f"components.{name}.{key}={json.dumps(value)}"
            for key, value in settings.items()
            if component.get(key) == value
        ]
    return lines


def _trained_for(component: dict[str, Any]) -> KnownAdapter | None:
    """The adapter that ships and that a component uses, if it was trained for its kind."""
    generator: dict[str, Any] = component.get("generator") or {}
    entry = KNOWN_ADAPTERS.get(str(generator.get("adapter")))
    return entry if entry is not None and component.get("factory") == entry.component else None
