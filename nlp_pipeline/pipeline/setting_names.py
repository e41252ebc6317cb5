"""Names of settings in a config: one that nothing takes is refused with the nearest right one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from inspect import Parameter, signature
from typing import Any

from confection import Config
from spacy.language import Language
from spacy.schemas import ConfigSchemaNlp
from spacy.util import registry

from nlp_pipeline.errors.config import UnknownConfigSetting
from nlp_pipeline.pipeline.overrides import components

_OF_SPACY = frozenset({"factory", "source", "component", "replace_listeners", "name", "nlp"})
"""What spaCy itself reads in a component's section, or hands to its factory."""


def check_names(config: Config, pipeline: str) -> None:
    """Holds the names of a config's settings against what takes them.

    Args:
        config: As `resolve_config` gives it.
        pipeline: What messages call it.

    Raises:
        UnknownConfigSetting: Nothing takes a setting of this name.
    """
    for section, names, known in _sections(config):
        for name in names:
            if name not in known and not name.startswith("@"):
                raise UnknownConfigSetting(pipeline, f"{section}.{name}", known)


def _sections(config: Config) -> Iterator[tuple[str, Iterable[str], list[str]]]:
    """Each section that can be checked, with its names and those that it may have."""
    yield "nlp", config["nlp"], list(ConfigSchemaNlp.__annotations__)
    for name, component in components(config).items():
        section = f"components.{name}"
        # What is not registered is refused, with a message, when the pipeline is built.
        with suppress(Exception):
            make = registry.get("factories", Language.get_factory_name(component["factory"]))
            names = [key for key in component if key not in _OF_SPACY]
            yield from _section(section, names, make)
        generator = component.get("generator")
        if isinstance(generator, dict) and "@llama_generators" in generator:
            with suppress(Exception):
                make = registry.get("llama_generators", generator["@llama_generators"])
                yield from _section(f"{section}.generator", generator, make)


def _section(
    section: str, names: Iterable[str], make: Callable[..., Any]
) -> Iterator[tuple[str, Iterable[str], list[str]]]:
    parameters = signature(make).parameters.values()
    if not any(p.kind is Parameter.VAR_KEYWORD for p in parameters):
        yield section, names, [p.name for p in parameters if p.name not in _OF_SPACY]
