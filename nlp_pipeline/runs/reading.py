"""`read_run`: a run's tables as frames."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa

from nlp_pipeline.errors.run import ColumnNotFound, RunNotFound, TableNotFound
from nlp_pipeline.runs.files import Format, read_table
from nlp_pipeline.runs.folder import RECEIPTS, read_manifest
from nlp_pipeline.tables.frames import to_frame
from nlp_pipeline.tables.schemas import TABLES


def read_run(
    path: str | Path,
    tables: Iterable[str] | None = None,
    columns: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, pd.DataFrame]:
    """The tables of a run, of its finished parts where it is still going on.

    Args:
        path: The run's folder.
        tables: Which tables; all by default.
        columns: Per table the columns to read; all by default. Others are not read at all.

    Returns:
        One frame per table, in the order of the corpus.

    Raises:
        RunNotFound: The folder holds no run.
        TableNotFound: There is no table of that name.
        ColumnNotFound: The table has no column of that name.
    """
    folder = Path(path)
    manifest = read_manifest(folder)
    if manifest is None:
        raise RunNotFound(str(path))
    format_: Format = manifest["format"]
    parts = [file.stem for file in sorted((folder / RECEIPTS).glob("part-*.json"))]
    names = list(TABLES) if tables is None else list(tables)
    wanted = {name: _columns(name, (columns or {}).get(name)) for name in names}
    return {
        name: to_frame(
            _concat(
                [folder / name / f"{part}.{format_}" for part in parts],
                name,
                format_,
                wanted[name],
            )
        )
        for name in names
    }


def _columns(table: str, columns: Sequence[str] | None) -> list[str] | None:
    """The columns asked for, checked."""
    if table not in TABLES:
        raise TableNotFound(table, TABLES)
    for name in columns or ():
        if name not in TABLES[table].names:
            raise ColumnNotFound(table, name, TABLES[table].names)
    return None if columns is None else list(columns)


def _concat(files: list[Path], name: str, format_: Format, columns: list[str] | None) -> pa.Table:
    schema = TABLES[name]
    if columns is not None:
        schema = pa.schema([schema.field(column) for column in columns])
    tables = [read_table(file, TABLES[name], format_, columns) for file in files]
    return pa.concat_tables([schema.empty_table(), *tables])
