"""What ran: the manifest of a run, and the fingerprint of everything that can change a row."""

from __future__ import annotations

import hashlib
import platform
import sys
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlp_pipeline.corpus import source_files
from nlp_pipeline.models import digest
from nlp_pipeline.pipeline import generators
from nlp_pipeline.tables.schemas import SCHEMA_VERSION

if TYPE_CHECKING:
    from spacy.language import Language

    from nlp_pipeline.runner import RunRequest

_PACKAGES = ("nlp-pipeline", "spacy", "spacy-transformers", "torch", "transformers", "tokenizers")


def fingerprint(request: RunRequest, nlp: Language, config: str) -> dict[str, Any]:
    """Everything that can change a row, by name, so that a difference can be spelled out.

    Args:
        request: The run.
        nlp: Its pipeline.
        config: The pipeline's resolved config.
    """
    return {
        "corpus": {str(f): _sha256(f) for f in source_files(request.corpus)},
        "text_key": request.text_key,
        "id_key": request.id_key,
        "limit": request.limit,
        "max_length": request.max_length,
        "format": request.format,
        "part_size": request.part_size,
        **_config_lines(config),
        "prompts": _prompts(nlp),
        "generators": [_generator(generator) for generator in generators(nlp)],
        "spacy_pipelines": _sources(config),
        "schema": SCHEMA_VERSION,
        "versions": {name: _version(name) for name in _PACKAGES},
    }


def describe(request: RunRequest, nlp: Language, mark: dict[str, Any]) -> dict[str, Any]:
    """The manifest without the figures that only the end of the run knows."""
    return {
        "corpus": request.corpus,
        "pipeline": request.pipeline.name,
        "pipes": list(nlp.pipe_names),
        "format": request.format,
        "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "command": sys.argv[1:] if sys.argv[:1] else [],
        "fingerprint": mark,
    }


def _config_lines(config: str) -> dict[str, str]:
    """The config as one entry a setting: `components.llama_qa.max_new_tokens: 32`."""
    entries, section = {}, ""
    for line in config.splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif " = " in line and section.startswith(("nlp", "components")):
            key, _, value = line.partition(" = ")
            entries[f"{section}.{key}"] = value
    # How many documents spaCy takes at a time changes no row.
    entries.pop("nlp.batch_size", None)
    return entries


def _prompts(nlp: Language) -> dict[str, str]:
    templates = {name: getattr(pipe, "template", None) for name, pipe in nlp.pipeline}
    return {name: template.digest for name, template in templates.items() if template is not None}


def _generator(generator: Any) -> dict[str, Any]:
    info = generator.info
    return {"backend": info.backend, "model": info.model, **info.details}


def _sources(config: str) -> dict[str, str]:
    """Name and version of every spaCy pipeline that components come from."""
    import spacy

    names = {
        line.partition(" = ")[2].strip('"')
        for line in config.splitlines()
        if line.startswith("source = ")
    }
    return {name: spacy.util.get_model_meta(_path(name))["version"] for name in sorted(names)}


def _path(source: str) -> Path:
    import spacy

    if not spacy.util.is_package(source):
        return Path(source)
    package = spacy.util.get_package_path(source)
    return next(path.parent for path in sorted(package.rglob("meta.json"), reverse=True))


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return (
            hashlib.file_digest(file, "sha256").hexdigest()
            if sys.version_info >= (3, 11)
            else digest(path)
        )
