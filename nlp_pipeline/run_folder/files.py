"""Files that are either whole or not there, and the formats of a table's part."""

from __future__ import annotations

import errno
import glob
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from nlp_pipeline.errors.run_folder import DiskFull, OutputError, OutputNotWritable
from nlp_pipeline.tables.schemas import FORMER_COLUMN_NAMES

Format = Literal["parquet", "csv", "jsonl"]
FORMATS: tuple[Format, ...] = ("parquet", "csv", "jsonl")
TEMPORARY = ".tmp-"
"""Stands in the name of every file that is not whole yet."""


@contextmanager
def disk_errors(
    folder: Path, safe: int = 0, not_writable: Callable[[str, str], OutputError] = OutputNotWritable
) -> Iterator[None]:
    """Says what is wrong with a run's folder in place of an `OSError`.

    Args:
        folder: The run's folder.
        safe: Documents that are safe, whatever happens in the block.
        not_writable: The error of a path and a reason that is raised where it is not the disk.

    Raises:
        DiskFull: No space is left.
        OutputNotWritable: Anything else, by default.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(str(folder), safe) from error
        raise not_writable(str(folder), error.strerror or str(error)) from error


def temporary_name(path: Path) -> Path:
    """What a file is called until it is whole."""
    return path.with_name(f".{path.name}{TEMPORARY}{os.getpid()}")


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Lets `write` fill a temporary file, makes it durable, and gives it its name."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    temporary = temporary_name(path)
    try:
        write(temporary)
        rename_durably(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def sweep_beside(path: Path) -> None:
    """Removes what processes that were killed have left of a file that is written anew now.

    Only of those that are gone: another may be writing the same file at this moment.
    """
    prefix = f".{path.name}{TEMPORARY}"
    for file in path.parent.glob(f"{glob.escape(prefix)}*"):
        process = file.name.removeprefix(prefix)
        if process.isascii() and process.isdigit() and not _is_alive(int(process)):
            with suppress(OSError):
                file.unlink()


def _is_alive(process: int) -> bool:
    if os.name != "posix":
        return True  # to ask would send a signal there
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        pass
    return True


def rename_durably(temporary: Path, path: Path) -> None:
    """Gives a whole file its name; both survive a crash of the machine."""
    with temporary.open("r+b") as file:  # Windows syncs no file that is open to read only
        os.fsync(file.fileno())
    os.replace(temporary, path)
    sync_folder(path.parent)


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON file atomically, in a form that people can read."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n"
    write_text(path, text)


def write_text(path: Path, text: str) -> None:
    """Writes a text file atomically."""
    write_atomically(path, lambda temporary: _write_text(temporary, text))


def _write_text(path: Path, text: str) -> None:
    # A file name that is no UTF-8 holds lone surrogates, which become escapes that JSON knows.
    path.write_text(text, encoding="utf-8", errors="backslashreplace")


def file_digest(path: Path) -> str:
    """A digest of a file's bytes, in constant memory."""
    digest = blake2b(digest_size=16)
    with path.open("rb") as file:
        while chunk := file.read(2**20):
            digest.update(chunk)
    return digest.hexdigest()


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder durable; Windows does so by itself, and opens no folder."""
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_table(table: pa.Table, path: Path, format_: Format) -> None:
    """Writes one part of a table atomically. All three formats can be read back unchanged."""
    writers: dict[Format, Callable[[pa.Table, Path], None]] = {
        "parquet": _write_parquet,
        "csv": _write_csv,
        "jsonl": _write_jsonl,
    }
    write_atomically(path, lambda temporary: writers[format_](table, temporary))


def read_table(
    path: Path, schema: pa.Schema, format_: Format, columns: list[str] | None = None
) -> pa.Table:
    """Reads one part of a table, only the columns asked for.

    A part of a run that began before a column was added has nulls in it; a column that has another
    name there (`FORMER_COLUMN_NAMES`) has its name of now.
    """
    if format_ == "parquet":
        table = _read_parquet(path, columns)
    elif format_ == "csv":
        table = _read_csv(path, _with_former_names(schema))
    else:
        table = _read_jsonl(path, schema)
    return _conformed(table, _subschema(schema, columns))


def lacks_columns(path: Path, schema: pa.Schema) -> bool:
    """Whether a Parquet file has not every column: it is older, or its names are damaged."""
    import pyarrow.parquet as pq

    return not set(schema.names) <= set(pq.read_schema(path).names)


def _conformed(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """A table under its schema; a column that it lacks, and that may be null, is null."""
    for field in schema:
        if field.name in table.column_names:
            continue
        former_name = FORMER_COLUMN_NAMES.get(field.name)
        if former_name in table.column_names:
            table = table.append_column(field, table[former_name])
        elif field.nullable:
            table = table.append_column(field, pa.nulls(table.num_rows, field.type))
    return table.select(schema.names).cast(schema)


def _with_former_names(schema: pa.Schema) -> pa.Schema:
    """A schema with a further column for each that had another name before."""
    former_fields = [
        schema.field(name).with_name(former_name)
        for name, former_name in FORMER_COLUMN_NAMES.items()
        if name in schema.names
    ]
    return pa.schema([*schema, *former_fields])


def _subschema(schema: pa.Schema, columns: list[str] | None) -> pa.Schema:
    return schema if columns is None else pa.schema([schema.field(name) for name in columns])


def _write_parquet(table: pa.Table, path: Path) -> None:
    import pyarrow.parquet as pq

    # With a checksum of each page: whoever reads the file notices a flipped bit.
    pq.write_table(table, path, compression="zstd", write_page_checksum=True)


def _read_parquet(path: Path, columns: list[str] | None) -> pa.Table:
    import pyarrow.parquet as pq

    # Not `read_table`: it takes a folder called `a=b` for a column.
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        if columns is None:
            return file.read()
        former_names = [
            FORMER_COLUMN_NAMES[name] for name in columns if name in FORMER_COLUMN_NAMES
        ]
        return file.read(columns=[*columns, *former_names])


def lists_as_json(table: pa.Table) -> pa.Table:
    """The table with lists as JSON texts: CSV has no lists."""
    for index, field in enumerate(table.schema):
        if pa.types.is_list(field.type):
            texts = [None if v is None else json.dumps(v) for v in table[field.name].to_pylist()]
            column = pa.array(texts, pa.string())
            table = table.set_column(index, field.with_type(pa.string()), column)
    return table


def _write_csv(table: pa.Table, path: Path) -> None:
    import pyarrow.csv as pc

    # Every text is quoted and no null is: so an empty text and no text stay two things.
    pc.write_csv(lists_as_json(table), path, pc.WriteOptions(quoting_style="all_valid"))


def _read_csv(path: Path, schema: pa.Schema) -> pa.Table:
    import pyarrow.csv as pc

    flat = lists_as_json(schema.empty_table()).schema
    table = pc.read_csv(
        path,
        # A row may be as long as the file, and must lie within one block.
        read_options=pc.ReadOptions(block_size=max(2**20, path.stat().st_size + 1)),
        parse_options=pc.ParseOptions(newlines_in_values=True),
        convert_options=pc.ConvertOptions(
            column_types=flat, strings_can_be_null=True, quoted_strings_can_be_null=False
        ),
    )
    for index, name in enumerate(table.column_names):
        field = schema.field(name)
        if pa.types.is_list(field.type):
            values = [None if v is None else json.loads(v) for v in table[name].to_pylist()]
            table = table.set_column(index, field, pa.array(values, field.type))
    return table


def _write_jsonl(table: pa.Table, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in table.to_pylist():
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def _read_jsonl(path: Path, schema: pa.Schema) -> pa.Table:
    with path.open(encoding="utf-8", newline="\n") as file:
        rows = [json.loads(line) for line in file]
    for name, former_name in FORMER_COLUMN_NAMES.items():
        for row in rows:
            if former_name in row:
                row[name] = row.pop(former_name)
    return pa.Table.from_pylist(rows, schema=schema)
