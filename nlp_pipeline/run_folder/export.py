"""A run's tables as one file each, for other tools."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import pyarrow as pa

from nlp_pipeline.errors.run import DuckdbMissing, TableNotFound, cells_quoted
from nlp_pipeline.run_folder.files import disk_errors, lists_as_json, sweep_beside, write_atomically
from nlp_pipeline.run_folder.read import iter_parts
from nlp_pipeline.run_folder.spreadsheet import guarded
from nlp_pipeline.tables.schemas import TABLES

logger = logging.getLogger(__name__)

ExportFormat = Literal["parquet", "csv", "duckdb"]


def export_run(
    run: str | Path,
    target: str | Path,
    format_: ExportFormat = "parquet",
    tables: Iterable[str] | None = None,
    *,
    raw: bool = False,
) -> list[Path]:
    """Writes each table of a run as one file, part by part in constant memory.

    In CSV a free text that a spreadsheet would run as a formula gets a quote in front
    (`run_folder.spreadsheet`), and a warning says how many did. Annotation is never changed.

    Args:
        run: The run's folder, finished or still going on.
        target: The folder for the files; for DuckDB the database file.
        format_: `parquet`, `csv` or `duckdb` (needs the extra `duckdb`).
        tables: Which tables; all by default.
        raw: CSV holds every text as it stands in the run.

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
        files = [path / f"{name}.{format_}" for name in names]
        for name, file in zip(names, files, strict=True):
            sweep_beside(file)
            if format_ == "csv":
                _to_csv(run, name, file, raw=raw)
            else:
                _to_parquet(run, name, file)
        return files


def _to_parquet(run: str | Path, name: str, file: Path) -> None:
    parts, schema = iter_parts(run, name), TABLES[name]
    write_atomically(file, lambda temporary: _write_parquet(parts, schema, temporary))


def _to_csv(run: str | Path, name: str, file: Path, *, raw: bool) -> None:
    cells: Counter[str] = Counter()

    def tables() -> Iterator[pa.Table]:
        for part in iter_parts(run, name):
            table, quoted = (part, 0) if raw else guarded(name, part)
            cells[name] += quoted
            yield lists_as_json(table)

    flat = lists_as_json(TABLES[name].empty_table()).schema
    write_atomically(file, lambda temporary: _write_csv(tables(), flat, temporary))
    if cells[name]:
        logger.warning("%s", cells_quoted(file.name, cells[name]))


def _write_parquet(parts: Iterator[pa.Table], schema: pa.Schema, file: Path) -> None:
    import pyarrow.parquet as pq

    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for part in parts:
            writer.write_table(part)


def _write_csv(tables: Iterator[pa.Table], schema: pa.Schema, file: Path) -> None:
    import pyarrow.csv as pc

    with pc.CSVWriter(file, schema) as writer:
        for table in tables:
            writer.write_table(table)


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
