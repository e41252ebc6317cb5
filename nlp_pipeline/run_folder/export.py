"""A run's tables as one file each, for other tools."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import pyarrow as pa

from nlp_pipeline.errors.run import DuckdbMissing, TableNotFound
from nlp_pipeline.run_folder.files import disk_errors, lists_as_json, write_atomically
from nlp_pipeline.run_folder.read import iter_parts
from nlp_pipeline.tables.schemas import TABLES

ExportFormat = Literal["parquet", "csv", "duckdb"]
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def export_run(
    run: str | Path,
    target: str | Path,
    format_: ExportFormat = "parquet",
    tables: Iterable[str] | None = None,
) -> list[Path]:
    """Writes each table of a run as one file, part by part in constant memory.

    In CSV a text that a spreadsheet would run as a formula (it begins with `=`, `+`, `-` or `@`)
    gets a quote in front.

    Args:
        run: The run's folder, finished or still going on.
        target: The folder for the files; for DuckDB the database file.
        format_: `parquet`, `csv` or `duckdb` (needs the extra `duckdb`).
        tables: Which tables; all by default.

    Returns:
        The files written.

    Raises:
        RunNotFound: There is no run.
        TableNotFound: There is no table of that name.
        DuckdbMissing: The package `duckdb` is not installed.
    """
    names = list(TABLES if tables is None else tables)
    for name in names:
        if name not in TABLES:
            raise TableNotFound(name, TABLES)
    path = Path(target)
    with disk_errors(path):
        if format_ == "duckdb":
            path.parent.mkdir(parents=True, exist_ok=True)
            return [_to_duckdb(run, path, names)]
        path.mkdir(parents=True, exist_ok=True)
        return [_to_file(run, name, path / f"{name}.{format_}", format_) for name in names]


def _to_file(run: str | Path, name: str, file: Path, format_: ExportFormat) -> Path:
    parts = iter_parts(run, name)
    write = _write_parquet if format_ == "parquet" else _write_csv
    write_atomically(file, lambda temporary: write(parts, TABLES[name], temporary))
    return file


def _write_parquet(parts: Iterator[pa.Table], schema: pa.Schema, file: Path) -> None:
    import pyarrow.parquet as pq

    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for part in parts:
            writer.write_table(part)


def _write_csv(parts: Iterator[pa.Table], schema: pa.Schema, file: Path) -> None:
    import pyarrow.csv as pc

    flat = _tamed(schema.empty_table()).schema
    with pc.CSVWriter(file, flat) as writer:
        for part in parts:
            writer.write_table(_tamed(part))


def _tamed(table: pa.Table) -> pa.Table:
    """Lists as JSON texts, and no text that a spreadsheet would run."""
    table = lists_as_json(table)
    for index, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            values = [_tame(value) for value in table[field.name].to_pylist()]
            table = table.set_column(index, field, pa.array(values, pa.string()))
    return table


def _tame(value: str | None) -> str | None:
    return "'" + value if value is not None and value.startswith(_FORMULA) else value


def _to_duckdb(run: str | Path, file: Path, names: list[str]) -> Path:
    try:
        import duckdb
    except ImportError:
        raise DuckdbMissing from None
    with duckdb.connect(str(file)) as database:
        for name in names:
            database.register("part", TABLES[name].empty_table())
            database.execute(f'CREATE OR REPLACE TABLE "{name}" AS SELECT * FROM part')
            for part in iter_parts(run, name):
                database.register("part", part)
                database.execute(f'INSERT INTO "{name}" SELECT * FROM part')
            database.unregister("part")
    return file
