"""`read_run`: a run's tables as frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from nlp_pipeline.errors.run_folder import (
    ColumnNotFound,
    DocumentNotFound,
    PartDamaged,
    RunNotFound,
    TableNotFound,
)
from nlp_pipeline.run_folder.files import Format, lacks_columns
from nlp_pipeline.run_folder.folder import FINISHED, read_manifest
from nlp_pipeline.run_folder.receipt_list import ReceiptList, whole_receipts
from nlp_pipeline.run_folder.receipts import (
    Receipt,
    compare_digest,
    compare_rows,
    part_file,
    read_table_of,
    unreadable_is_damage,
)
from nlp_pipeline.run_folder.review_table import read_reviews
from nlp_pipeline.run_folder.staging import was_replaced
from nlp_pipeline.tables.frames import to_frame
from nlp_pipeline.tables.schemas import REVIEWS, SCHEMAS, TABLES

_TABLES_AT_ONCE = 1000
"""Tables of parts that lie in memory beside what they are joined to."""


def read_run(
    path: str | Path,
    tables: str | Iterable[str] | None = None,
    columns: Mapping[str, Sequence[str]] | None = None,
    *,
    first: int | None = None,
) -> dict[str, pd.DataFrame]:
    """The tables of a run, of its finished parts where it is still going on.

    Args:
        path: The run's folder.
        tables: Which table or tables; all that the run writes by default, without `reviews`.
        columns: Per table the columns to read; all by default. Others are not read at all.
        first: Only so many rows of each table; later parts are not read at all.

    Returns:
        One frame per table, in the order of the corpus.

    Raises:
        RunNotFound: The folder holds no run.
        TableNotFound: There is no table of that name.
        ColumnNotFound: The table has no column of that name.
    """
    folder = Path(path)
    names = [tables] if isinstance(tables, str) else list(TABLES if tables is None else tables)
    for name in (*names, *(columns or {})):
        if name not in SCHEMAS:
            raise TableNotFound(name, SCHEMAS)
    columns_by_table = {name: _columns(name, (columns or {}).get(name)) for name in names}
    format_: Format = run_manifest(folder)["format"]
    parts = finished_parts(folder)
    frames: dict[str, pd.DataFrame] = {}
    for name in names:
        tables_ = _parts(folder, parts, name, format_, columns_by_table[name])
        frames[name] = to_frame(_concat(tables_, name, columns_by_table[name], first))
    return frames


def _parts(
    folder: Path, parts: ReceiptList, table: str, format_: Format, columns: list[str] | None
) -> Iterator[pa.Table]:
    if table == REVIEWS:
        reviews = read_reviews(folder, format_)
        yield reviews if columns is None else reviews.select(columns)
        return
    for part in parts:
        yield read_part(folder, part, table, format_, columns)


def row_counts(path: str | Path) -> dict[str, int]:
    """The rows of each table of a run, from its books alone.

    Raises:
        RunNotFound: The folder holds no run.
    """
    return dict.fromkeys(TABLES, 0) | finished_parts(Path(path)).totals.rows


def is_run(path: str | Path) -> bool:
    """Whether a path is the folder of a run that has begun."""
    return "format" in (read_manifest(Path(path)) or {})


def run_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a run that has begun.

    Raises:
        RunNotFound: The folder holds no run.
    """
    manifest = read_manifest(folder)
    if manifest is None or "format" not in manifest:
        raise RunNotFound(str(folder))
    return manifest


def finished_parts(folder: Path, manifest: Mapping[str, Any] | None = None) -> ReceiptList:
    """The receipts of the finished parts: of a finished run all, of another those there are.

    Raises:
        RunNotFound: The folder holds no run.
        ReceiptDamaged: A receipt is missing or cannot be read.
    """
    manifest = manifest or run_manifest(folder)
    total = manifest.get("total") if manifest.get("state") == FINISHED else None
    command, corpus = manifest.get("command") or (), str(manifest.get("corpus", ""))
    return whole_receipts(folder, total, command, corpus)


def read_part(
    run: Path, receipt: Receipt, table: str, format_: Format, columns: list[str] | None = None
) -> pa.Table:
    """A table of a finished part, only the columns asked for.

    Raises:
        PartDamaged: The file is not what its receipt says, or cannot be read.
    """
    try:
        return _checked_part(run, receipt, table, format_, columns)
    except PartDamaged:
        if not was_replaced(run, receipt):
            raise
    return read_table_of(run, receipt, table, format_, columns)


def _checked_part(
    run: Path, receipt: Receipt, table: str, format_: Format, columns: list[str] | None
) -> pa.Table:
    if table not in receipt.rows:  # the run began before there was this table
        return read_table_of(run, receipt, table, format_, columns)
    file, rows = part_file(run, table, receipt.part, format_), receipt.rows[table]
    with unreadable_is_damage(run, file, rows):
        # Parquet has checksums of its own, so that a column can be read without the others; but
        # not of the names of its columns, and a name that is not there is read as nulls.
        if format_ != "parquet" or lacks_columns(file, TABLES[table]):
            compare_digest(run, file, receipt.digests.get(table))
        part_table = read_table_of(run, receipt, table, format_, columns)
    compare_rows(run, file, rows, part_table.num_rows)
    return part_table


def _columns(table: str, columns: Sequence[str] | None) -> list[str] | None:
    """The columns that were asked for, once they are known to exist."""
    for name in columns or ():
        if name not in SCHEMAS[table].names:
            raise ColumnNotFound(table, name, SCHEMAS[table].names)
    return None if columns is None else list(columns)


def _concat(
    parts: Iterable[pa.Table], name: str, columns: list[str] | None, first: int | None
) -> pa.Table:
    schema = SCHEMAS[name]
    if columns is not None:
        schema = pa.schema([schema.field(column) for column in columns])
    joined_tables, part_tables, rows = [schema.empty_table()], [], 0
    for part in parts if first is None or first > 0 else ():
        part_tables.append(part)
        rows += part.num_rows
        if first is not None and rows >= first:
            break
        if len(part_tables) == _TABLES_AT_ONCE:  # a table of few rows takes more than its rows do
            joined_tables.append(pa.concat_tables(part_tables).combine_chunks())
            part_tables = []
    return pa.concat_tables([*joined_tables, *part_tables]).slice(0, first)


def iter_parts(path: str | Path, table: str) -> Iterator[pa.Table]:
    """A table of a run part by part, in the order of the corpus.

    Raises:
        RunNotFound: The folder holds no run.
    """
    folder = Path(path)
    format_: Format = run_manifest(folder)["format"]
    for part in finished_parts(folder):
        yield read_part(folder, part, table, format_)


def parts_of(
    path: str | Path, columns: Mapping[str, Sequence[str]]
) -> Iterator[dict[str, pa.Table]]:
    """Some tables of a run part by part: all rows of a document lie in the same part.

    Args:
        path: The run's folder.
        columns: Per table the columns to read.

    Raises:
        RunNotFound: The folder holds no run.
    """
    folder = Path(path)
    format_: Format = run_manifest(folder)["format"]
    for part in finished_parts(folder):
        yield {
            name: read_part(folder, part, name, format_, list(names))
            for name, names in columns.items()
        }


def iter_rows(path: str | Path, table: str) -> Iterator[dict[str, Any]]:
    """The rows of a table of a run, in the order of the corpus, in constant memory."""
    for part in iter_parts(path, table):
        yield from part.to_pylist()


def document_rows(path: str | Path, document_id: str) -> dict[str, list[dict[str, Any]]]:
    """Every row of one document, what people think of them included.

    Raises:
        RunNotFound: The folder holds no run.
        DocumentNotFound: The run has no such document, or has not come to it yet.
    """
    folder = Path(path)
    format_: Format = run_manifest(folder)["format"]
    for part in finished_parts(folder):
        ids = read_part(folder, part, "documents", format_, ["document_id"])
        if document_id in ids["document_id"].to_pylist():
            tables = {name: read_part(folder, part, name, format_) for name in TABLES}
            tables[REVIEWS] = read_reviews(folder, format_)
            return {name: _rows_of(document_id, table) for name, table in tables.items()}
    raise DocumentNotFound(document_id, str(path))


def _rows_of(document_id: str, table: pa.Table) -> list[dict[str, Any]]:
    import pyarrow.compute as pc

    rows: list[dict[str, Any]] = table.filter(
        pc.equal(table["document_id"], document_id)
    ).to_pylist()
    return rows
