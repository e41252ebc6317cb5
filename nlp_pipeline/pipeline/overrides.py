"""`--set key=value`: any setting of a pipeline, those included that its config leaves out."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from copy import copy, deepcopy
from functools import cache
from inspect import signature
from typing import Any

from confection import Config
from spacy.language import Language
from spacy.util import registry

from nlp_pipeline.errors.config import (
    SettingIsSection,
    SettingSyntax,
    SettingTooLarge,
    UnknownSetting,
)

EVERY_GENERATOR = "generator"
"""As a `--set` key's section: the generator block of every component that has one."""


def components(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The components of a config by name."""
    sections = config.get("components") or {}
    return {name: value for name, value in sections.items() if isinstance(value, dict)}


def fill_defaults(config: Config) -> None:
    """Writes out the defaults of components and generators, so that any of them can be set.

    They stand in the resolved config then too, and a changed default changes the fingerprint.
    """
    with suppress(ValueError, ImportError):
        _register_factories()
    for component in components(config).values():
        factory = component.get("factory")
        # What is unknown here is refused, with a message, when the pipeline is built.
        with suppress(ValueError, ImportError):
            if factory and Language.has_factory(factory):
                defaults = Language.get_factory_meta(factory).default_config or {}
                for key, value in defaults.items():
                    component.setdefault(key, deepcopy(value))
            _fill_generator(component.get("generator"))


@cache
def _register_factories() -> None:
    """Registers spaCy's factories and those that packages bring, ours among them.

    What is known of a factory must not depend on what the process has done before. Packages are
    looked up once in a process by spaCy too: a second empty pipeline would find no more.
    """
    Language()


def _fill_generator(generator: Any) -> None:
    if not isinstance(generator, dict) or "@llama_generators" not in generator:
        return
    make = registry.get("llama_generators", generator["@llama_generators"])
    for name, parameter in signature(make).parameters.items():
        if parameter.default is not parameter.empty:
            generator.setdefault(name, parameter.default)


def override(config: Config, setting: str) -> bool:
    """Puts one `key=value` into a config; `generator.NAME=value` into every generator block.

    Returns:
        Whether it could be put there now: False where the key leads into a section that is
        written as `${another.section}`.

    Raises:
        SettingSyntax: It is not of that form.
        UnknownSetting: The key leads nowhere.
        SettingIsSection: The key is a whole section's and the value is no section.
    """
    key, equals, text = setting.partition("=")
    key = key.strip()
    if not equals or not key:
        raise SettingSyntax(setting)
    *sections, last = key.split(".")
    if sections == [EVERY_GENERATOR] and EVERY_GENERATOR not in config:
        return _override_generators(config, last, _value(text))
    place: Any = config
    for section in sections:
        inner = place.get(section) if isinstance(place, dict) else None
        if isinstance(inner, str) and inner.startswith("${"):
            return False
        if isinstance(inner, dict):
            # Interpolation may have put one object in two places: only this one is meant.
            inner = place[section] = copy(inner)
        place = inner
    if not isinstance(place, dict) or last not in place:
        near = difflib.get_close_matches(key, list(_keys(config)), n=5, cutoff=0.3)
        raise UnknownSetting(key, near)
    value = _value(text)
    if isinstance(place[last], dict) and not isinstance(value, dict):
        raise SettingIsSection(key, place[last])
    place[last] = value
    with suppress(ValueError, ImportError):  # another generator has other settings
        _fill_generator(value)
    return True


def _override_generators(config: Config, name: str, value: Any) -> bool:
    """Puts a value into every generator block that has a setting of the name.

    Returns:
        Whether it could be done now: False where a block is written as `${another.section}`.

    Raises:
        UnknownSetting: No block has one.
    """
    blocks = [c["generator"] for c in components(config).values() if c.get("generator")]
    if not all(isinstance(block, dict) for block in blocks):
        return False
    names = dict.fromkeys(key for block in blocks for key in block)
    if name not in names:
        key, choices = f"{EVERY_GENERATOR}.{name}", [f"{EVERY_GENERATOR}.{n}" for n in names]
        raise UnknownSetting(key, difflib.get_close_matches(key, choices, n=5, cutoff=0.3))
    for block in blocks:
        if name in block:
            block[name] = value
    return True


def check_integers(section: Mapping[Any, Any], prefix: str = "") -> None:
    """Refuses integers of more than 64 bits: spaCy's own JSON breaks on them with a riddle.

    Raises:
        SettingTooLarge: A setting is one, or holds one.
    """
    for key, value in section.items():
        items = dict(enumerate(value)) if isinstance(value, list | tuple) else value
        if isinstance(items, Mapping):
            check_integers(items, f"{prefix}{key}.")
        elif isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise SettingTooLarge(f"{prefix}{key}", value)


def _value(text: str) -> Any:
    """JSON where it is JSON, else the text itself: as spaCy's own command line does."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _keys(section: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in section.items():
        if isinstance(value, dict):
            yield from _keys(value, f"{prefix}{key}.")
        else:
            yield prefix + key
