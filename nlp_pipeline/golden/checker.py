"""Makes a golden output again and says whether it is still the same."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlp_pipeline.errors.golden import (
    GoldenCorpusChanged,
    GoldenMadeByTest,
    GoldenMismatch,
    GoldenModelChanged,
    GoldenNotFound,
    GoldenPlaceMissing,
)
from nlp_pipeline.generation.distributed.process_group import is_main
from nlp_pipeline.golden.compare import Difference, compare, merged
from nlp_pipeline.golden.difference_text import PER_TABLE, render
from nlp_pipeline.golden.facts import facts, model_digests, notes
from nlp_pipeline.golden.plain_values import plain_tables
from nlp_pipeline.golden.recipe import Recipe, working_directory
from nlp_pipeline.golden.store import (
    GOLDEN,
    Golden,
    Table,
    read_golden,
    read_tables,
    write,
)
from nlp_pipeline.tables.equality import ATOL, RTOL, Tolerance

if TYPE_CHECKING:
    from os import PathLike

    import pandas as pd

    from nlp_pipeline.runner.request import Progress


@dataclass(frozen=True)
class Checked:
    """How a check that raised nothing ended.

    Attributes:
        tables: How many were compared.
        rows: How many rows they have now.
        updated: Whether the golden output was written anew.
        differences: What an update has changed.
        report: The same as text.
    """

    tables: int
    rows: int
    updated: bool = False
    differences: tuple[Difference, ...] = ()
    report: str = ""


def check(
    folder: str | PathLike[str],
    *,
    update: bool = False,
    per_table: int = PER_TABLE,
    progress: Progress | None = None,
) -> Checked:
    """Runs the pipeline as recorded and compares every table: `golden check` for Python.

    Args:
        folder: The golden output.
        update: Accept what is found: write it in place of what was recorded.
        per_table: Differences of a table that the message shows.
        progress: Is told how the run goes.

    Raises:
        GoldenMismatch: A table is not as it was recorded; the message shows where.
        GoldenError: The golden output, its corpus or its model is not there or was changed.
        NlpPipelineError: The run cannot begin or go on.
    """
    from nlp_pipeline.golden.recorder import corpus_digests, rerun, with_facts

    path = Path(folder)
    golden = read_golden(path)
    recipe = recipe_of(golden, path)
    with working_directory(path / (golden.directory or "")):
        corpus = corpus_digests(recipe.corpus)
        if corpus != golden.corpus and not update:
            raise GoldenCorpusChanged(str(path), golden.corpus, corpus)
        tables, made_with = rerun(recipe, progress)
    digests = model_digests(golden.made_with), model_digests(made_with)
    if digests[0] != digests[1] and not update:
        raise GoldenModelChanged(str(path), *digests)
    new = with_facts(replace(golden, corpus=corpus), made_with)
    other_inputs = corpus != golden.corpus or digests[0] != digests[1]
    how = f"nlp-pipeline golden check {shlex.quote(str(path))} --update"
    return _settle(
        path, golden, new, tables, update=update, force=other_inputs, per_table=per_table, how=how
    )


def recipe_of(golden: Golden, path: Path) -> Recipe:
    """What a golden output's run needs.

    Raises:
        GoldenMadeByTest: It has none: a test made it from tables in memory.
        GoldenPlaceMissing: The folder that its paths are relative to is not there.
    """
    if golden.recipe is None or golden.directory is None:
        raise GoldenMadeByTest(str(path), golden.command)
    if not (path / golden.directory).is_dir():
        raise GoldenPlaceMissing(str(path), golden.directory)
    return golden.recipe


def check_frames(
    frames: Mapping[str, pd.DataFrame],
    folder: str | PathLike[str],
    *,
    command: str,
    update: bool = False,
    rtol: float = RTOL,
    atol: float = ATOL,
    portable: bool = True,
    per_table: int = PER_TABLE,
) -> Checked:
    """Compares tables in memory, as `to_frames(docs)` gives them, with recorded ones.

    Args:
        frames: The tables.
        folder: The golden output; only an update makes one where there is none.
        command: What makes it again, such as `pytest tests/test_x.py --golden-update`.
        update: Accept what is found.
        rtol: How far numbers may be off, relative to the recorded one.
        atol: The same, absolute; the two add up.
        portable: Whether other machines should give the same; if not, the message of a
            difference says on which platform it was recorded.
        per_table: Differences of a table that the message shows.

    Raises:
        GoldenMismatch: A table is not as it was recorded; the message shows where.
        GoldenError: There is no golden output, or it is damaged.
    """
    path, tables = Path(folder), plain_tables(frames)
    new = Golden(
        command,
        None,
        recipe=None,
        corpus={},
        tolerance=Tolerance(rtol, atol),
        portable=portable,
        made_with=facts(),
    )
    if not (path / GOLDEN).is_file():
        if not update:
            raise GoldenNotFound(str(path), command)
        write(path, new, tables)
        return Checked(len(tables), _rows(tables), updated=True)
    return _settle(
        path, read_golden(path), new, tables, update=update, per_table=per_table, how=command
    )


def _settle(
    path: Path,
    old: Golden,
    new: Golden,
    tables: Mapping[str, Table],
    *,
    update: bool,
    per_table: int,
    how: str,
    force: bool = False,
) -> Checked:
    """Compares, and either accepts the differences or raises them."""
    expected = read_tables(path, old)
    differences = compare(expected, tables, new.tolerance)
    report = render(differences, new.tolerance, per_table)
    if not update and differences:
        hints = _notes(old.made_with, new)
        raise GoldenMismatch(str(path), len(differences), report=report, notes=hints, update=how)
    changed = bool(differences) or force or old.tolerance != new.tolerance
    if update and changed and is_main():
        write(path, new, merged(expected, tables, new.tolerance))
    return Checked(
        len(tables),
        _rows(tables),
        updated=update and changed,
        differences=tuple(differences),
        report=report,
    )


def _notes(recorded: dict[str, Any], new: Golden) -> list[str]:
    return notes(recorded, new.made_with, portable=new.portable)


def _rows(tables: Mapping[str, Table]) -> int:
    return sum(len(table.rows) for table in tables.values())
