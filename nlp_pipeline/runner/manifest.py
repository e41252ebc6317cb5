"""What ran: the manifest of a run, and the fingerprint of everything that can change a row."""

from __future__ import annotations

import platform
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, replace
from datetime import datetime, timezone
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from nlp_pipeline import __version__
from nlp_pipeline.corpus.remote_copy import RemoteCopy
from nlp_pipeline.corpus.remote_store import RemoteStore
from nlp_pipeline.corpus.sources import find_sources
from nlp_pipeline.environment import installed_version
from nlp_pipeline.errors.run_folder import FileChanges
from nlp_pipeline.generation.settings import UNSEEN
from nlp_pipeline.grounding.language_coverage import language_coverage
from nlp_pipeline.models.digests import sha256
from nlp_pipeline.pipeline import (
    PipelineSpec,
    code_digests,
    generators,
    recorded_config,
    source_digests,
)
from nlp_pipeline.prompts.examples import digest
from nlp_pipeline.tables.schemas import SCHEMA_VERSION

if TYPE_CHECKING:
    from confection import Config
    from spacy.language import Language

    from nlp_pipeline.run_folder.resume import ResumePlan
    from nlp_pipeline.runner.request import RunRequest, RunResult

CODE = "code"
"""The manifest's list of files that the pipeline's components are registered by."""
INPUTS = "inputs"
"""The manifest's digests of the files that were read, in the order in which they were."""
NAMED_BY_STEM = "named_by_stem"
"""The manifest's list of files whose records keep the ids of version 0.1 (`stem_names`)."""

_PACE = (*UNSEEN, "max_concurrency", "timeout_s", "max_retries", "api_key_env", "allow_plain_http")
_PACKAGES = ("spacy", "spacy-transformers", "torch", "transformers", "tokenizers")


def fingerprint(request: RunRequest, nlp: Language, config: Config) -> dict[str, Any]:
    """Everything that can change a row, by name, so that a difference can be spelled out.

    The records are not in it, nor how many of them are read: each has a digest of its own in
    the ledger of its part, so that a corpus may grow and a changed record costs no other.

    Args:
        request: The run.
        nlp: Its pipeline.
        config: The pipeline's resolved config.
    """
    return {
        "text_key": request.text_key,
        "id_key": request.id_key,
        "max_length": request.max_length,
        "format": request.format,
        "part_size": request.part_size,
        **_config_lines(recorded_config(config).to_str()),
        "prompts": _prompts(nlp),
        "examples": _examples(nlp),
        "generators": [_generator(generator) for generator in generators(nlp)],
        "spacy_pipelines": source_digests(config),
        "schema": SCHEMA_VERSION,
        "versions": versions(),
        **_number_words(str(nlp.lang)),
        **({"code": _code(request)} if request.pipeline.code else {}),
    }


def _number_words(lang: str) -> dict[str, str]:
    """The version of the package that reads numbers in words, where the language's are its task."""
    version = installed_version("text2num") if language_coverage(lang).needs_extra else None
    return {"text2num": version} if version else {}


def _code(request: RunRequest) -> dict[str, str]:
    """The digests of the user's files, by their names: where they lie changes no row."""
    return {Path(file).name: digest for file, digest in code_digests(request.pipeline.code).items()}


def versions() -> dict[str, str | None]:
    """Versions of the packages that can change a row; None for one that is not installed."""
    return {"nlp-pipeline": __version__} | {name: installed_version(name) for name in _PACKAGES}


def describe(
    request: RunRequest,
    pipes: list[str],
    mark: dict[str, Any],
    command: Iterable[str] | None = None,
) -> dict[str, Any]:
    """The manifest without the figures that only the end of the run knows.

    Args:
        request: The run.
        pipes: The names of its pipeline's components.
        mark: Its fingerprint.
        command: The words that were typed; a call from Python has none.
    """
    code = request.pipeline.code
    return {
        "corpus": request.corpus,
        **({"further_sources": list(more)} if (more := request.further_sources) else {}),
        "pipeline": request.pipeline.name,
        **({CODE: [str(Path(file).absolute()) for file in code]} if code else {}),
        "pipes": pipes,
        "format": request.format,
        "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        **({} if command is None else {"command": list(command)}),
        "fingerprint": mark,
    }


def beginning(plan: ResumePlan) -> dict[str, int]:
    """What the manifest of a run that is going on says of earlier processes' work."""
    return {"kept": plan.kept, "again": plan.failed + plan.changed + plan.outdated}


def figures(result: RunResult) -> dict[str, Any]:
    """The manifest's counts and rates, at the end."""
    new = result.documents - result.resumed
    rate = new / result.seconds if result.seconds else 0.0
    values = asdict(replace(result, out=Path()))
    del values["out"]
    return {"counts": values, "documents_per_second": round(rate, 3)}


def rates(result: RunResult) -> dict[str, float]:
    """The counts and rates of a run by one name each, as tools of observability want them."""
    values = figures(result)
    return {**values["counts"], "documents_per_second": values["documents_per_second"]}


def input_digests(
    corpus: str,
    stdin: Path | None = None,
    *,
    further_sources: Iterable[str] = (),
    known_files: Collection[str] = (),
    store: RemoteStore | None = None,
) -> dict[str, str]:
    """SHA-256 of every file of a corpus, or by what its store knows it, for the manifest.

    Args:
        corpus: As in `RunRequest`.
        stdin: The copy of standard input, where that is the corpus.
        further_sources: As in `RunRequest`.
        known_files: Those that the run has read before, in its order.
        store: Holds the copies of what lies elsewhere.
    """
    sources = find_sources(
        corpus, stdin, further_sources=further_sources, known_files=known_files, store=store
    )
    return {f.source: _input_digest(f.path) for f in sources.files if f.path is not None}


def known_inputs(manifest: Mapping[str, Any] | None) -> dict[str, str]:
    """The digests of the files that a run has read, by their names, in the order of the run.

    Args:
        manifest: Of the run that goes on; None where it begins.
    """
    return dict((manifest or {}).get(INPUTS, {}))


def input_changes(recorded: Mapping[str, str], current: Mapping[str, str]) -> FileChanges:
    """Which files of a corpus are new, missing or not what they were, in the order of the corpus.

    Args:
        recorded: What `input_digests` said of them when the run was begun.
        current: What it says now.
    """
    return FileChanges(
        new=tuple(name for name in current if name not in recorded),
        missing=tuple(name for name in recorded if name not in current),
        changed=tuple(n for n in current if n in recorded and recorded[n] != current[n]),
    )


def _input_digest(path: Path | RemoteCopy) -> str:
    """The digest of a file; of one in a store, which is fetched as it is read, what that says."""
    if isinstance(path, Path):
        return sha256(path)
    return path.identity or sha256(path.whole())


def kept_pipeline(manifest: Mapping[str, Any], config: Path) -> PipelineSpec:
    """The pipeline of a run, as its folder has it.

    Args:
        manifest: Of the run.
        config: The file in its folder.
    """
    return PipelineSpec(str(config), code=tuple(manifest.get(CODE, ())))


def named_by_stem(manifest: Mapping[str, Any] | None) -> list[str]:
    """Paths within a folder of documents whose files keep the names that they had in version 0.1.

    A run that began then goes on with the ids that it has; what is added to the folder is named
    as today.

    Args:
        manifest: Of the run that goes on; None where it begins.
    """
    if not manifest or NAMED_BY_STEM in manifest:
        return list((manifest or {}).get(NAMED_BY_STEM, ()))
    corpus = PurePath(str(manifest.get("corpus", "")))
    files = [PurePath(file) for file in manifest.get(INPUTS, {})]
    return [f.relative_to(corpus).as_posix() for f in files if corpus in f.parents]


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
    # How patiently a server is asked changes none either.
    return {key: value for key, value in entries.items() if key.rpartition(".")[2] not in _PACE}


def _prompts(nlp: Language) -> dict[str, str]:
    """Digests of templates and schemas: the config may only say where they stand."""
    parts = {
        name if part == "template" else f"{name}.{part}": getattr(pipe, part, None)
        for name, pipe in nlp.pipeline
        for part in ("template", "schema")
    }
    return {name: item.digest for name, item in parts.items() if item is not None}


def _examples(nlp: Language) -> dict[str, str]:
    """Digests of the examples in prompts: a config may only name their file."""
    by_pipe = {name: getattr(pipe, "examples", None) for name, pipe in nlp.pipeline}
    return {name: digest(examples) for name, examples in by_pipe.items() if examples}


def _generator(generator: Any) -> dict[str, Any]:
    info = generator.info
    return {"backend": info.backend, "model": info.model, **info.details}
