"""Parquet: one document a row."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Any

from nlp_pipeline.corpus.json_object import MAX_DEPTH
from nlp_pipeline.corpus.notes import Notes
from nlp_pipeline.corpus.read_options import Found, ReadOptions
from nlp_pipeline.corpus.sources import CorpusFile
from nlp_pipeline.errors.corpus import BadRecord, InvalidUtf8, NoTextColumn, Place, TooDeep

_BATCH_ROWS = 64


def read_parquet(file: CorpusFile, options: ReadOptions, notes: Notes) -> Iterator[Found]:
    """The values of every row by column name, made plain JSON.

    Raises:
        NoTextColumn: No column has the name of the text.
        OSError: The file is damaged or no Parquet.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    row = 0
    try:
        with pq.ParquetFile(file.path) as table:
            names = table.schema_arrow.names
            if options.text_key not in names:
                raise NoTextColumn(file.source, options.text_key, names)
            for batch in table.iter_batches(_BATCH_ROWS):
                for values in _values(batch):
                    row += 1
                    yield row, _fields(values, Place(file.source, row), options, notes)
    except pa.ArrowException as error:
        raise OSError(str(error)) from error


def count_rows(file: CorpusFile) -> int:
    """How many rows the file's own footer says it has."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return int(pq.read_metadata(file.path).num_rows)
    except pa.ArrowException as error:
        raise OSError(str(error)) from error


def _values(batch: Any) -> Iterator[dict[str, Any] | None]:
    """The rows of a batch; `None` for one that holds a string that is not UTF-8."""
    try:
        yield from batch.to_pylist()
    except UnicodeDecodeError:
        for index in range(batch.num_rows):
            try:
                yield batch.slice(index, 1).to_pylist()[0]
            except UnicodeDecodeError:
                yield None


def _fields(
    values: dict[str, Any] | None, place: Place, options: ReadOptions, notes: Notes
) -> dict[str, Any] | BadRecord:
    if values is None:
        return InvalidUtf8(place)
    try:
        fields = {
            key: value if key == options.text_key else _plain(value, place, notes)
            for key, value in values.items()
        }
        fields[options.text_key] = _text(values[options.text_key], place)
    except BadRecord as error:
        return error
    if isinstance(number := fields.get(options.id_key), float) and number.is_integer():
        # pandas turns a column of integers into floats as soon as one is missing.
        fields[options.id_key] = int(number)
    return fields


def _text(value: Any, place: Place) -> Any:
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidUtf8(place) from None


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
