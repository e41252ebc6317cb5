"""A pipeline's config: found by name or path, completed, and overridden as the user says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from configparser import Error as ConfigParserError
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from confection import Config
from spacy.util import get_lang_class, load_config

from nlp_pipeline.components.generators import ECHO
from nlp_pipeline.errors import NlpPipelineError
from nlp_pipeline.errors.config import (
    LanguageIsTrained,
    LanguageUnknown,
    OverrideNotOffered,
    PipelineInvalid,
    PipelineNotFound,
    TextNotInList,
    UnknownKeyword,
)
from nlp_pipeline.errors.escapes import described
from nlp_pipeline.generation.backends.inprocess import BACKEND as LLAMA
from nlp_pipeline.generation.backends.server import BACKEND as SERVER
from nlp_pipeline.generation.settings import OVERRIDES
from nlp_pipeline.pipeline.adapter_settings import suit_adapter
from nlp_pipeline.pipeline.code_files import execute_code
from nlp_pipeline.pipeline.overrides import check_integers, components, fill_defaults, override
from nlp_pipeline.pipeline.setting_names import check_names
from nlp_pipeline.pipeline.small_english import installed_name
from nlp_pipeline.pipeline.spacy_sources import package_folder


@dataclass(frozen=True, init=False)
class PipelineSpec:
    """What a user says of a pipeline on the command line or in a call; plain, picklable values.

    Attributes:
        name: A shipped pipeline's name, the path of a `.cfg` or of a saved pipeline's folder, or
            an installed spaCy pipeline package.
        questions: Asked instead of the pipeline's own, where there are any.
        settings: `key=value` overrides, as in `components.llama_qa.max_new_tokens=32`.
        echo: Replaces every generator by the echo.
        lang: Replaces the language of a pipeline without trained components; its code.
        code: Python files that are executed before the pipeline is built: they register what its
            config names, as spaCy's `--code` does.
        overrides: What replaces a setting of every generator that has it, such as `model` or
            `device`: those of `OVERRIDES`, given by their names. None leaves a setting as it is.

    Raises:
        UnknownKeyword: There is no setting of a name; the message says which is near.
        TextNotInList: The questions or settings are one text, not several.
    """

    name: str
    questions: tuple[str, ...]
    settings: tuple[str, ...]
    echo: bool
    lang: str | None
    code: tuple[str, ...]
    overrides: Mapping[str, Any] = field(hash=False)

    def __init__(
        self,
        name: str,
        questions: Iterable[str] = (),
        settings: Iterable[str] = (),
        *,
        echo: bool = False,
        lang: str | None = None,
        code: tuple[str, ...] = (),
        **overrides: Any,
    ) -> None:
        for key in overrides:
            if key not in OVERRIDES:
                raise UnknownKeyword("PipelineSpec", key, [*_OWN, *OVERRIDES])
        given = {key: overrides[key] for key in OVERRIDES if overrides.get(key) is not None}
        for key, texts in (("questions", questions), ("settings", settings)):
            if isinstance(texts, str):
                raise TextNotInList(key, texts)
        lists = tuple(questions), tuple(settings)
        values = dict(zip(_OWN, (name, *lists, echo, lang, code), strict=True))
        for key, value in {**values, "overrides": given}.items():
            object.__setattr__(self, key, value)


_OWN = ("name", "questions", "settings", "echo", "lang", "code")


def pipeline_names() -> list[str]:
    """The names of the shipped pipelines."""
    entries = files("nlp_pipeline.pipelines").iterdir()
    return sorted(e.name.removesuffix(".cfg") for e in entries if e.name.endswith(".cfg"))


def resolve_config(spec: PipelineSpec) -> Config:
    """The pipeline's config with every override in place and nothing left to interpolate.

    Raises:
        ConfigError: The pipeline or a setting cannot be used.
    """
    execute_code(spec.code)
    try:
        config = _resolved(spec)
    except NlpPipelineError:
        raise
    except Exception as error:  # confection and catalogue raise what they like on odd settings
        raise PipelineInvalid(spec.name, described(error)) from error
    check_integers(config)
    return config


def _resolved(spec: PipelineSpec) -> Config:
    folder, config = _read(spec.name)
    if not isinstance(config.get("nlp"), dict):
        raise PipelineInvalid(spec.name, "it has no section [nlp]")
    try:
        fill_defaults(config)
        # A setting of a section that is written as `${another.section}` has to wait until the
        # section is a copy of the other.
        later = [setting for setting in spec.settings if not override(config, setting)]
        config = config.interpolate()
    except (ValueError, ConfigParserError) as error:
        raise PipelineInvalid(spec.name, str(error)) from error
    for setting in later:
        override(config, setting)
    if folder is not None:
        _source_all_from(config, folder)
    if spec.lang is not None:
        _set_language(config, spec.name, spec.lang)
    _check_overrides(config, spec)
    for component in _with_generator(config):
        _apply(component["generator"], spec)
        suit_adapter(component)
    for component in components(config).values():
        if isinstance(component.get("source"), str):
            component["source"] = installed_name(component["source"])
    if spec.questions:
        _ask(config, spec)
    fill_defaults(config)  # of the generators that have been put in since
    check_names(config, spec.name)
    return config


def _set_language(config: Config, pipeline: str, lang: str) -> None:
    """Puts the language in.

    Raises:
        LanguageUnknown: spaCy has no rules for it.
        LanguageIsTrained: A component of the pipeline was trained for another.
    """
    try:
        get_lang_class(lang if lang.isidentifier() else "")
    except ImportError:
        raise LanguageUnknown(lang) from None
    trained = [name for name, component in components(config).items() if "source" in component]
    if trained and lang != config["nlp"].get("lang"):
        own = str(config["nlp"].get("lang"))
        raise LanguageIsTrained(pipeline, own, lang=lang, components=trained)
    config["nlp"]["lang"] = lang


def model_names(config: Config) -> list[str]:
    """The models that a resolved config's generators load on this machine, each once."""
    blocks = [component["generator"] for component in _with_generator(config)]
    names = [b.get("model") for b in blocks if b.get("@llama_generators") != SERVER]
    return list(dict.fromkeys(str(name) for name in names if name))


def shared_place(config: Config) -> tuple[int | None, str]:
    """`tensor_parallel_size` and device of the first Llama that is loaded on this machine.

    Args:
        config: As `resolve_config` gives it.

    Returns:
        Of a pipeline without one: None and `cpu`.
    """
    blocks = [component["generator"] for component in _with_generator(config)]
    for block in blocks:
        if block.get("@llama_generators") == LLAMA:
            return block.get("tensor_parallel_size"), block.get("device", "auto")
    return None, "cpu"


def _read(name: str) -> tuple[Path | None, Config]:
    """A config by name or path; with the folder where it is of a pipeline saved to disk."""
    if name in pipeline_names():
        text = (files("nlp_pipeline.pipelines") / f"{name}.cfg").read_text("utf-8")
        return None, Config().from_str(text, interpolate=False)
    path = Path(name).expanduser()
    folder = path if path.is_dir() else package_folder(name)
    file = path if folder is None else folder / "config.cfg"
    if file.suffix != ".cfg" or not file.is_file():
        raise PipelineNotFound(name, pipeline_names())
    try:
        return folder, load_config(file, interpolate=False)
    except (ValueError, OSError, ConfigParserError) as error:
        raise PipelineInvalid(name, str(error)) from error


def _source_all_from(config: Config, folder: Path) -> None:
    """Takes the components of a saved pipeline, with their weights, from its folder."""
    for name, component in components(config).items():
        if not str(component.get("factory", "")).startswith("llama_"):
            config["components"][name] = {"source": str(folder.resolve())}


def _with_generator(config: Config) -> list[dict[str, Any]]:
    return [c for c in components(config).values() if isinstance(c.get("generator"), dict)]


def _check_overrides(config: Config, spec: PipelineSpec) -> None:
    """Refuses what would replace a setting that no generator has, such as a server's device.

    Raises:
        OverrideNotOffered: There is such a one.
    """
    blocks = [component["generator"] for component in _with_generator(config)]
    backends = list(dict.fromkeys(str(block.get("@llama_generators")) for block in blocks))
    if spec.echo or not backends or ECHO in backends:
        return
    for key, value in spec.overrides.items():
        if not any(key in block for block in blocks):
            raise OverrideNotOffered(key, value, backends)


def _apply(generator: dict[str, Any], spec: PipelineSpec) -> None:
    """Puts model, device and the like, or the echo, where a component names its generator."""
    if spec.echo:
        generator.clear()
        generator["@llama_generators"] = ECHO
        return
    for key, value in spec.overrides.items():
        if key in generator:
            generator[key] = value


def _ask(config: Config, spec: PipelineSpec) -> None:
    """Replaces the questions of every `llama_qa`."""
    question_components = [c for c in components(config).values() if c.get("factory") == "llama_qa"]
    if not question_components:
        reason = "it has no llama_qa component, and -q gives questions for one"
        raise PipelineInvalid(spec.name, reason)
    for component in question_components:
        component["questions"] = list(spec.questions)
        component["fallback_questions"] = False
