"""What a trained model or an adapter brings: the settings of components that use it."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy, deepcopy
from typing import Any

from spacy.language import Language

from nlp_pipeline.models import AUTO, KNOWN_ADAPTERS, adapter_name, trained_settings


def suit_adapter(component: dict[str, Any]) -> None:
    """Names the adapter that a component gets for `auto`, and sets what suits it.

    That is the one that ships for the model, of components that it was trained for. What a run was
    made with so stands in its config, and a model without an adapter has null there, and its
    settings as ever. A setting that is not at its default stays. What `nlp-pipeline train` made,
    model or adapter, brings the settings that it was trained with.

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
    settings = _trained_with(component)
    if not settings:
        return
    defaults = Language.get_factory_meta(component["factory"]).default_config or {}
    for name, value in settings.items():
        if component.get(name) == defaults.get(name):
            component[name] = deepcopy(value)


def _trained_with(component: dict[str, Any]) -> Mapping[str, Any]:
    """What suits a component with a generator block."""
    generator: dict[str, Any] = component.get("generator") or {}
    model, adapter = generator.get("model"), generator.get("adapter")
    if not isinstance(model, str) or not isinstance(adapter, str | None):
        return {}  # the settings' own check says what is wrong with them
    if "factory" not in component:
        return {}
    return trained_settings(component["factory"], model, adapter)
