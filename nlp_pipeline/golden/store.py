"""A golden output on disk: `golden.json` and one JSON Lines file a table, made to diff well.

A row is a line and its keys stand in the order of the columns, so that version control shows a
changed row as a changed line. Nulls are written, as null and an empty text are two values.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from nlp_pipeline.errors.escapes import escaped
from nlp_pipeline.errors.golden import (
    GoldenFolderInUse,
    GoldenFormatUnknown,
    GoldenNotFound,
    GoldenNotWritable,
    GoldenUnreadable,
)
from nlp_pipeline.golden.recipe import Recipe
from nlp_pipeline.run_folder.files import write_atomically
from nlp_pipeline.tables.equality import Tolerance

GOLDEN = "golden.json"
FORMAT = 1

Row = dict[str, Any]


class Table(NamedTuple):
    """Columns in order, and rows of plain JSON values with those keys."""

    columns: list[str]
    rows: list[Row]


Tables = Mapping[str, Table]


@dataclass(frozen=True)
class Golden:
    """What `golden.json` says.

    Attributes:
        command: Makes the golden output again, typed in `directory`.
        directory: The folder where it was typed, from here; None for tables of a test.
        recipe: The run; None for tables of a test.
        corpus: SHA-256 of each file of the corpus.
        tolerance: For numbers with a fraction.
        portable: Whether other machines should give the same.
        made_with: Generators, spaCy pipelines, versions, platform.
        tables: The columns of each table.
    """

    command: str
    directory: str | None
    recipe: Recipe | None
    corpus: dict[str, str]
    tolerance: Tolerance
    portable: bool
    made_with: dict[str, Any]
    tables: dict[str, list[str]] = field(default_factory=dict)


def read_golden(folder: Path) -> Golden:
    """Reads `golden.json`.

    Raises:
        GoldenNotFound: There is none.
        GoldenFormatUnknown: Another version of this package wrote it.
        GoldenUnreadable: It is damaged.
    """
    file = folder / GOLDEN
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        if (format_ := values.pop("golden")) != FORMAT:
            raise GoldenFormatUnknown(str(file), format_, FORMAT)
        run = values.pop("run")
        recipe = None if run is None else Recipe.from_json(run)
        tolerance = Tolerance(**values.pop("tolerance"))
        golden = Golden(recipe=recipe, tolerance=tolerance, **values)
    except (FileNotFoundError, NotADirectoryError):
        command = f"nlp-pipeline golden record CORPUS -p PIPELINE -d {folder}"
        raise GoldenNotFound(str(folder), command) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise GoldenUnreadable(str(file), f"{type(error).__name__}: {error}") from error
    for name in golden.tables:
        if Path(name).name != name:  # it would lead out of the folder
            raise GoldenUnreadable(str(file), f"'{escaped(name)}' is no name of a table")
    return golden


def read_tables(folder: Path, golden: Golden) -> dict[str, Table]:
    """Reads the rows of every table.

    Raises:
        GoldenUnreadable: A file is missing or damaged; the message says which line.
    """
    return {
        name: Table(columns, _read_rows(table_file(folder, name), golden.command))
        for name, columns in golden.tables.items()
    }


def _read_rows(file: Path, command: str) -> list[Row]:
    rows: list[Row] = []
    try:
        # Not `splitlines`: a text may hold characters that Python takes for line ends.
        for number, line in enumerate(file.read_text(encoding="utf-8").split("\n")[:-1], 1):
            row = json.loads(line)
            if not isinstance(row, dict):
                raise GoldenUnreadable(f"{file}:{number}", "it is no object", command)
            rows.append(row)
    except json.JSONDecodeError as error:
        raise GoldenUnreadable(f"{file}:{len(rows) + 1}", str(error), command) from error
    except (OSError, ValueError) as error:
        raise GoldenUnreadable(str(file), str(error), command) from error
    return rows


def write(folder: Path, golden: Golden, tables: Tables) -> None:
    """Writes a golden output: the tables, then `golden.json`; tables of an earlier one go.

    Raises:
        GoldenFolderInUse: The folder holds something else.
        GoldenNotWritable: The folder cannot be made or written to.
    """
    refuse_strangers(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in _old_tables(folder) - set(tables):
            table_file(folder, name).unlink(missing_ok=True)
        for name, table in tables.items():
            _write_text(table_file(folder, name), "".join(map(_line, table.rows)))
        values = {"golden": FORMAT, **_as_dict(golden)}
        values["tables"] = {name: list(table.columns) for name, table in tables.items()}
        _write_text(folder / GOLDEN, pretty(values) + "\n")
    except OSError as error:
        raise GoldenNotWritable(str(folder), error.strerror or str(error)) from error


def refuse_strangers(folder: Path) -> None:
    """Raises `GoldenFolderInUse` for a folder with files and no `golden.json`."""
    if folder.is_dir() and not (folder / GOLDEN).is_file():
        names = sorted(entry.name for entry in folder.iterdir())
        if names:
            raise GoldenFolderInUse(str(folder), names)


def table_file(folder: Path, table: str) -> Path:
    """The path of a table's rows in a golden output."""
    return folder / f"{table}.jsonl"


def _old_tables(folder: Path) -> set[str]:
    try:
        return set(read_golden(folder).tables)
    except (GoldenNotFound, GoldenUnreadable, GoldenFormatUnknown):
        return set()


def _as_dict(golden: Golden) -> dict[str, Any]:
    """In the order of a reader: how to make it, then what it was made with."""
    return {
        "command": golden.command,
        "directory": golden.directory,
        "run": golden.recipe.as_json() if golden.recipe else None,
        "corpus": golden.corpus,
        "tolerance": asdict(golden.tolerance),
        "portable": golden.portable,
        "made_with": golden.made_with,
    }


def _line(row: Row) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"


def pretty(value: Any, indent: str = "") -> str:
    """JSON with a line per key; a list of plain values stays on its line."""
    inner = indent + "  "
    if isinstance(value, dict) and value:
        parts = [f"{inner}{json.dumps(k)}: {pretty(v, inner)}" for k, v in value.items()]
        return "{\n" + ",\n".join(parts) + f"\n{indent}}}"
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        return "[\n" + ",\n".join(inner + pretty(v, inner) for v in value) + f"\n{indent}]"
    return json.dumps(value, ensure_ascii=False)


def _write_text(file: Path, text: str) -> None:
    def fill(temporary: Path) -> None:
        temporary.write_bytes(text.encode("utf-8"))

    write_atomically(file, fill)
