"""Parquet: one document a row."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from datetime import date, datetime, time, timedelta
from typing import Any

from nlp_pipeline.corpus.column_names import unique_names
from nlp_pipeline.corpus.corpus_file import CorpusFile
from nlp_pipeline.corpus.json_object import MAX_DEPTH
from nlp_pipeline.corpus.nested_fields import lifted
from nlp_pipeline.corpus.notes import Notes
from nlp_pipeline.corpus.parquet_memory import (
    UnreadableValue,
    batch_rows,
    text_columns,
    too_large,
)
from nlp_pipeline.corpus.read_options import NumberedFields, ReadOptions
from nlp_pipeline.corpus.streams import line_limit
from nlp_pipeline.errors.corpus import NoTextColumn
from nlp_pipeline.errors.file_formats import InvalidUtf8, RowGroupTooLarge
from nlp_pipeline.errors.records import BadRecord, LineTooLong, Place, TextNotString, TooDeep

_BATCH_ROWS = 64
_BUFFER_BYTES = 2**20


def read_parquet(file: CorpusFile, options: ReadOptions, notes: Notes) -> Iterator[NumberedFields]:
    """The values of every row by column name, made plain JSON.

    A row group that would not fit into memory costs its own rows, a row that would not its own.

    Raises:
        NoTextColumn: No column has the name of the text.
        OSError: The file is damaged or no Parquet.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    row, limit = 0, line_limit(options.max_length)
    path = file.local_path()
    try:
        with pq.ParquetFile(path) as footer:
            metadata, schema = footer.metadata, footer.schema
            columns = footer.schema_arrow
        if options.text_key not in (paths := column_paths(columns)):
            raise NoTextColumn(file.source, options.text_key, paths)
        names = unique_names(columns.names)
        for name in columns.names:
            if columns.names.count(name) > 1:
                notes.once("repeated_column", Place(file.source, 1), name)
        # Buffered: else the whole of a row group's column would be in memory, compressed.
        with pq.ParquetFile(
            path, read_dictionary=text_columns(schema), buffer_size=_BUFFER_BYTES
        ) as table:
            for group in range(metadata.num_row_groups):
                size = too_large(metadata.row_group(group), schema, limit)
                if size is not None:
                    yield row + 1, RowGroupTooLarge(Place(file.source, row + 1), *size)
                    row += metadata.row_group(group).num_rows
                    continue
                for batch in table.iter_batches(_BATCH_ROWS, row_groups=[group]):
                    for values in batch_rows(batch, limit):
                        row += 1
                        place = Place(file.source, row)
                        yield row, _fields(values, names, place, limit, options, notes)
    except pa.ArrowException as error:
        raise OSError(" ".join(str(error).split())) from error


def count_rows(file: CorpusFile) -> Iterator[int]:
    """How many rows the file's own footer says it has."""
    import pyarrow.parquet as pq

    yield int(pq.read_metadata(file.local_path()).num_rows)


def column_paths(columns: Iterable[Any], prefix: str = "") -> list[str]:
    """The names of columns, and those of the fields of structs with dots between them.

    Args:
        columns: Of a schema or a struct, each with `name` and `type`.
        prefix: What leads to them.
    """
    import pyarrow as pa

    paths: list[str] = []
    fields = list(columns)
    for field, name in zip(fields, unique_names(f.name for f in fields), strict=True):
        paths.append(prefix + name)
        if pa.types.is_struct(field.type):
            paths += column_paths(field.type, f"{prefix}{name}.")
    return paths


def _fields(
    values: list[Any] | int,
    names: list[str],
    place: Place,
    limit: int,
    options: ReadOptions,
    notes: Notes,
) -> dict[str, Any] | BadRecord:
    if isinstance(values, int):
        return LineTooLong(place, limit, values)
    raw = dict(zip(names, values, strict=True))
    for key in (options.text_key, options.id_key):
        raw = lifted(raw, key)
    fields: dict[str, Any] = {}
    try:
        for key, value in raw.items():
            is_text = key == options.text_key
            fields[key] = _text(value, key, place) if is_text else _json(value, place, notes)
    except BadRecord as error:
        return error
    if isinstance(number := fields.get(options.id_key), float) and number.is_integer():
        # pandas turns a column of integers into floats as soon as one is missing.
        fields[options.id_key] = int(number)
    return fields


def _text(value: Any, key: str, place: Place) -> Any:
    if isinstance(value, UnreadableValue):
        if isinstance(value.error, UnicodeDecodeError):
            raise InvalidUtf8(place)
        raise TextNotString(place, key, "a value that cannot be read")
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidUtf8(place) from None


def _json(value: Any, place: Place, notes: Notes) -> Any:
    """`_plain`; null where the value is out of the range that Python has for its type."""
    if isinstance(value, UnreadableValue):
        if isinstance(value.error, UnicodeDecodeError):
            raise InvalidUtf8(place)
        notes.once("no_python_value", place)
        return None
    try:
        return _plain(value, place, notes)
    except (ArithmeticError, ValueError, TypeError):
        notes.once("no_python_value", place)
        return None


def _plain(value: Any, place: Place, notes: Notes, depth: int = 1) -> Any:
    """A value of any Arrow type as JSON has it: dates as ISO 8601, decimals as strings."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if depth > MAX_DEPTH:
        raise TooDeep(place, MAX_DEPTH)
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        notes.once("not_finite", place)
        return None
    if isinstance(value, dict):
        return {str(key): _plain(item, place, notes, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, place, notes, depth + 1) for item in value]
    if isinstance(value, bytes):
        return _decoded(value, place, notes)
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    return value.total_seconds() if isinstance(value, timedelta) else str(value)


def _decoded(value: bytes, place: Place, notes: Notes) -> str | None:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        notes.once("bytes", place)
        return None
