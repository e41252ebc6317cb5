"""One file a table: Parquet, CSV, JSON Lines, Arrow."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from nlp_pipeline.errors.run import cells_quoted
from nlp_pipeline.export.job import ExportJob
from nlp_pipeline.run_folder.files import lists_as_json, sweep_beside, write_atomically
from nlp_pipeline.run_folder.spreadsheet import guarded
from nlp_pipeline.tables.schemas import JSON_COLUMNS

logger = logging.getLogger(__name__)

_WriteTable = Callable[[ExportJob, str, Path], None]


def write_parquet(job: ExportJob) -> list[Path]:
    """A Parquet file a table, compressed with Zstandard."""
    import pyarrow.parquet as pq

    def write(job: ExportJob, table: str, file: Path) -> None:
        with pq.ParquetWriter(file, job.schema(table), compression="zstd") as writer:
            for part in job.parts(table):
                writer.write_table(part)

    return _file_a_table(job, "parquet", write)


def write_arrow(job: ExportJob) -> list[Path]:
    """An Arrow IPC file a table, as Feather has it: it can be mapped into memory."""

    def write(job: ExportJob, table: str, file: Path) -> None:
        with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_file(sink, job.schema(table)) as writer:
            for part in job.parts(table):
                writer.write_table(part)

    return _file_a_table(job, "arrow", write)


def write_jsonl(job: ExportJob) -> list[Path]:
    """A file of JSON Lines a table; columns that hold JSON are values, not texts."""

    def write(job: ExportJob, table: str, file: Path) -> None:
        nested = JSON_COLUMNS[table]
        with file.open("wb") as stream:
            for part in job.parts(table):
                for row in part.to_pylist():
                    for name in nested & row.keys():
                        row[name] = None if row[name] is None else json.loads(row[name])
                    stream.write(_line(row))

    return _file_a_table(job, "jsonl", write)


def _line(row: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # an integer of more than 64 bits in somebody's meta
        return json.dumps(row, ensure_ascii=False).encode("utf-8") + b"\n"


def write_csv(job: ExportJob) -> list[Path]:
    """A CSV file a table, with a quote before what a spreadsheet would run; see `export_run`."""
    import pyarrow.csv as pc

    cells: Counter[str] = Counter()

    def write(job: ExportJob, table: str, file: Path) -> None:
        with pc.CSVWriter(file, lists_as_json(job.schema(table).empty_table()).schema) as writer:
            for part in _guarded_parts(job, table, cells):
                writer.write_table(lists_as_json(part))
        if cells[table]:
            logger.warning("%s", cells_quoted(f"{table}.csv", cells[table]))

    return _file_a_table(job, "csv", write)


def _guarded_parts(job: ExportJob, table: str, cells: Counter[str]) -> Iterator[pa.Table]:
    own = job.meta_columns.texts if table == "documents" and job.meta_columns else []
    for part in job.parts(table):
        if job.raw:
            yield part
        else:
            rows, quoted = guarded(table, part, also=own)
            cells[table] += quoted
            yield rows


def _file_a_table(job: ExportJob, suffix: str, write: _WriteTable) -> list[Path]:
    """The files, each of which is there once it is whole."""
    files: list[Path] = []
    for table in job.tables:
        file = job.target / f"{table}.{suffix}"
        sweep_beside(file)
        write_atomically(file, partial(write, job, table))
        files.append(file)
    return files
