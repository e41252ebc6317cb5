"""A config of spacy-llm to a pipeline of this package, with a line for what has no counterpart."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from configparser import Error as ConfigParserError
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from confection import Config
from spacy.util import load_config

from nlp_pipeline.errors.config import SettingSyntax
from nlp_pipeline.errors.spacy_llm import (
    COMPONENT_SETTINGS,
    SECTIONS,
    WITHOUT_COUNTERPART,
    ConfigUnreadable,
    NotASpacyLlmConfig,
    NothingToConvert,
    TargetExists,
    UnknownTaskVersion,
    no_counterpart,
)
from nlp_pipeline.pipeline.overrides import components
from nlp_pipeline.spacy_llm.config_section import ConfigSection
from nlp_pipeline.spacy_llm.model_families import Successors, generator_of
from nlp_pipeline.spacy_llm.tasks import CONVERTERS, TASK_FACTORIES

_TASK = re.compile(r"spacy\.(?P<task>\w+)\.v(?P<version>\d+)")
_KEPT_SECTIONS = ("nlp", "components")


@dataclass
class ConvertedConfig:
    """A pipeline of this package, made of a config of spacy-llm.

    Attributes:
        config: With the sections `nlp` and `components`.
        examples: Worked examples by the name of the component that takes them.
        remarks: A line for each thing that has no counterpart, or stands elsewhere here.
    """

    config: Config = field(default_factory=Config)
    examples: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def write(self, target: Path, *, force: bool = False) -> list[Path]:
        """Writes the config, and beside it a file for the examples of each component.

        Args:
            target: The config's file.
            force: Whether files that are there may be written over.

        Returns:
            The files.

        Raises:
            TargetExists: One is there.
        """
        files = {name: target.with_name(f"{target.stem}-{name}.jsonl") for name in self.examples}
        for path in [target, *files.values()]:
            if path.exists() and not force:
                raise TargetExists(str(path))
        target.parent.mkdir(parents=True, exist_ok=True)
        for name, path in files.items():
            lines = [orjson.dumps(example) + b"\n" for example in self.examples[name]]
            path.write_bytes(b"".join(lines))
            self.config["components"][name]["examples"] = str(path)
        target.write_text(self.config.to_str(), encoding="utf-8")
        return [target, *files.values()]


def convert_config(
    path: Path, *, settings: Iterable[str] = (), successors: Successors | None = None
) -> ConvertedConfig:
    """Converts a config of spacy-llm.

    Args:
        path: The config.
        settings: `key=value` overrides, as in `paths.examples=examples.yml`.
        successors: What takes the place of models that are APIs.

    Raises:
        ConfigUnreadable: It is no config, or leaves a value open.
        NotASpacyLlmConfig: None of its components is spacy-llm's.
        UnknownTaskVersion: A task has a version that spacy-llm does not document.
        NothingToConvert: None of its tasks has a counterpart.
    """
    config = _read(path, settings)
    factories = [str(item.get("factory")) for item in components(config).values()]
    if not any(_is_llm(factory) for factory in factories):
        raise NotASpacyLlmConfig(str(path), factories)
    converted = ConvertedConfig()
    parts = {
        name: _component(name, item, path.parent, converted, successors or Successors())
        if _is_llm(str(item.get("factory")))
        else item
        for name, item in components(config).items()
    }
    for section in config:
        if section not in _KEPT_SECTIONS and config[section]:
            converted.remarks.append(no_counterpart(f"[{section}]", SECTIONS.get(section)))
    llm_names = [n for n, item in components(config).items() if _is_llm(str(item.get("factory")))]
    if not any(parts[name] for name in llm_names):
        raise NothingToConvert(str(path), converted.remarks)
    nlp = dict(config["nlp"])
    names = list(nlp.get("pipeline") or parts)
    if unknown := [name for name in names if name not in parts]:
        reason = f"its pipeline has '{unknown[0]}', and [components] has no such section"
        raise ConfigUnreadable(str(path), reason)
    nlp["pipeline"] = [name for name in names if parts[name]]
    in_use = {name: parts[name] for name in nlp["pipeline"]}
    converted.config = Config({"nlp": nlp, "components": in_use})
    return converted


def _is_llm(factory: str) -> bool:
    return factory == "llm" or factory in TASK_FACTORIES


def _read(path: Path, settings: Iterable[str]) -> Config:
    """The config with nothing left to interpolate."""
    overrides = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not key.strip():
            raise SettingSyntax(setting)
        overrides[key.strip()] = _value(value)
    try:
        config: Config = load_config(path, overrides=overrides, interpolate=True)
    except (OSError, ValueError, ConfigParserError) as error:
        raise ConfigUnreadable(str(path), str(error)) from error
    if not isinstance(config.get("nlp"), Mapping) or not components(config):
        raise ConfigUnreadable(str(path), "it has no sections [nlp] and [components]")
    return config


def _value(text: str) -> Any:
    """A value as JSON, or as the text that it is."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def _component(
    name: str,
    item: Mapping[str, Any],
    folder: Path,
    converted: ConvertedConfig,
    successors: Successors,
) -> dict[str, Any] | None:
    """A component of spacy-llm as one of this package; None where it has no counterpart."""
    section = ConfigSection(f"components.{name}", item, converted.remarks)
    factory = str(section.take("factory"))
    task = section.take_section("task")
    task_name = str(task.take("@llm_tasks", TASK_FACTORIES.get(factory, "")))
    match = _TASK.fullmatch(task_name)
    versions, convert = CONVERTERS.get(match["task"] if match else "", ((), None))
    if match and convert and int(match["version"]) not in versions:
        names = [f"spacy.{match['task']}.v{number}" for number in versions]
        raise UnknownTaskVersion(name, task_name, names)
    if convert is None:
        reason = WITHOUT_COUNTERPART.get(match["task"] if match else "")
        place = f"{task.place} {task_name}" if task_name else task.place
        converted.remarks.append(no_counterpart(place, reason))
        return None
    done = convert(name, task, folder)
    generator, sampling = generator_of(section.take_section("model"), successors)
    section.leave(COMPONENT_SETTINGS)
    if done.examples:
        converted.examples[name] = done.examples
    if not done.samples:
        ConfigSection(f"components.{name}.model.config", sampling, converted.remarks).leave({})
        sampling = {}
    return {**done.settings, **sampling, "generator": generator}
