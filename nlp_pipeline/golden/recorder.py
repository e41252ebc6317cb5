"""Runs a pipeline over a corpus and keeps what came out."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from nlp_pipeline.corpus import source_files
from nlp_pipeline.corpus.data_set import is_data_set
from nlp_pipeline.corpus.remote_sources import is_url
from nlp_pipeline.errors.golden import GoldenFromStdin, GoldenFromUrl
from nlp_pipeline.generation.distributed.process_group import is_main
from nlp_pipeline.golden.facts import facts, is_portable
from nlp_pipeline.golden.plain_values import plain_tables
from nlp_pipeline.golden.recipe import Recipe, relative_path
from nlp_pipeline.golden.store import (
    Golden,
    Table,
    refuse_strangers,
    write,
)
from nlp_pipeline.models.digests import sha256
from nlp_pipeline.pipeline import resolve_config
from nlp_pipeline.run_folder.folder import read_manifest
from nlp_pipeline.run_folder.read import read_run
from nlp_pipeline.runner.request import Progress
from nlp_pipeline.runner.run import execute, on_rank0
from nlp_pipeline.tables.equality import ATOL, RTOL, Tolerance

if TYPE_CHECKING:
    from os import PathLike


def record(
    corpus: str | PathLike[str],
    folder: str | PathLike[str],
    *,
    pipeline: str = "en_qa_summary",
    questions: Iterable[str] = (),
    settings: Iterable[str] = (),
    tables: Iterable[str] = (),
    rtol: float = RTOL,
    atol: float = ATOL,
    progress: Progress | None = None,
    **options: Any,
) -> Golden:
    """Runs a pipeline over a corpus and records its tables: `golden record` for Python.

    What is recorded names all paths relative to the working directory, and that relative to the
    folder, so that a checkout can lie anywhere.

    Args:
        corpus: A file or a folder.
        folder: Where the golden output goes; an older one there is replaced.
        pipeline: A shipped pipeline's name or a path.
        questions: Asked instead of the pipeline's own.
        settings: `key=value` overrides.
        tables: Record these tables alone; all by default.
        rtol: How far numbers may be off, relative to the recorded one.
        atol: The same, absolute; the two add up.
        progress: Is told how the run goes.
        options: `echo`, `limit`, `text_key`, `id_key` as in `run`, and what replaces a setting
            of every generator: `model`, `device` and the others that `run` has.

    Raises:
        UnknownKeyword: There is no option of that name; the message says which is near.
        NlpPipelineError: The folder holds something else, or the run cannot begin or go on.
    """
    recipe = Recipe.of(
        str(corpus),
        pipeline,
        questions=tuple(questions),
        settings=tuple(settings),
        tables=tuple(tables),
        **options,
    ).here()
    if recipe.corpus == "-":
        raise GoldenFromStdin
    if is_url(str(corpus)) or is_data_set(str(corpus)):
        raise GoldenFromUrl(str(corpus))
    path, tolerance = Path(folder), Tolerance(rtol, atol)
    refuse_strangers(path)
    golden = _describe(recipe, path, tolerance)
    frames, made_with = rerun(recipe, progress)
    columns = {name: table.columns for name, table in frames.items()}
    golden = replace(with_facts(golden, made_with), tables=columns)
    if is_main():
        write(path, golden, frames)
    return golden


def rerun(
    recipe: Recipe, progress: Progress | None = None
) -> tuple[dict[str, Table], dict[str, Any]]:
    """Runs a recipe in the working directory: its tables, and what they were made with.

    Of the processes that torchrun starts rank 0 does it, and all return the same.
    """
    return on_rank0(resolve_config(recipe.spec), partial(_rerun, recipe, progress))


def _rerun(recipe: Recipe, progress: Progress | None) -> tuple[dict[str, Table], dict[str, Any]]:
    with TemporaryDirectory(prefix="nlp-pipeline-golden-") as name:
        out = Path(name)
        execute(recipe.request(out), progress)
        frames = read_run(out, recipe.tables or None)
        mark = (read_manifest(out) or {})["fingerprint"]
    return plain_tables(frames), facts(mark["generators"], mark["spacy_pipelines"])


def corpus_digests(corpus: str) -> dict[str, str]:
    """SHA-256 of each file of a corpus.

    Raises:
        CorpusError: It cannot be read.
    """
    return {file.as_posix(): sha256(file) for file in source_files(corpus)}


def with_facts(golden: Golden, made_with: dict[str, Any]) -> Golden:
    """A golden output with the facts of this machine: versions and digests of models."""
    return replace(golden, made_with=made_with, portable=is_portable(made_with))


def _describe(recipe: Recipe, folder: Path, tolerance: Tolerance) -> Golden:
    """The part of `golden.json` that is known before the run."""
    tolerances = {"rtol": tolerance.relative, "atol": tolerance.absolute}
    options = {k: v for k, v in tolerances.items() if v != {"rtol": RTOL, "atol": ATOL}[k]}
    directory = os.path.relpath(Path.cwd(), folder.resolve())
    return Golden(
        command=recipe.command(relative_path(folder), options),
        directory=Path(directory).as_posix(),
        recipe=recipe,
        corpus=corpus_digests(recipe.corpus),
        tolerance=tolerance,
        portable=True,
        made_with={},
    )
