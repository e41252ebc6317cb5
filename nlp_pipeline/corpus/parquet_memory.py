"""Bounds on what a Parquet file unpacks to, and its rows as Python values within them.

Four kilobytes of Parquet can stand for gigabytes: a value that compresses well, a long value that
a thousand rows point to, a list of a million times the same number. The footer says how large the
first and the last are before a byte is read; the second is read as it stands in the file, once,
with the rows as numbers that point to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from nlp_pipeline.corpus.column_names import unique_names

_ANY_RATIO_BYTES = 128 * 2**20
_MAX_RATIO = 32
"""How far a row group of more than `_ANY_RATIO_BYTES` may be compressed.

Text shrinks to a third or a tenth. What shrinks further and is as large was made to fill a memory,
or holds one value without end; a large row group of many texts is read page by page.
"""
_WIDTH = 8
"""Bytes of a value in memory that is no text, and of a place in a list."""


class UnreadableValue(NamedTuple):
    """Stands for a value that Python has no form for.

    Attributes:
        error: What pyarrow raised for it.
    """

    error: Exception


class UnpackedSize(NamedTuple):
    """What a row group takes in memory, in bytes, and how much is allowed."""

    size: int
    limit: int


def text_columns(schema: Any) -> list[str]:
    """The columns of texts and bytes, nested ones too, which pyarrow can read as dictionaries.

    Args:
        schema: A `pyarrow.parquet.ParquetSchema`.
    """
    columns = (schema.column(index) for index in range(len(schema)))
    return [
        column.path
        for column in columns
        if column.physical_type == "BYTE_ARRAY" and column.logical_type.type in ("STRING", "NONE")
    ]


def too_large(group: Any, schema: Any, record_limit: int) -> UnpackedSize | None:
    """What a row group would take, where that is more than may be; by its metadata alone.

    Args:
        group: A `pyarrow.parquet.RowGroupMetaData`.
        schema: The `pyarrow.parquet.ParquetSchema` of the file.
        record_limit: The most bytes that one record may have.
    """
    unpacked = packed = 0
    for index in range(group.num_columns):
        column = group.column(index)
        size = column.total_uncompressed_size
        if size > max(1, column.num_values) * record_limit:
            return UnpackedSize(size, record_limit)
        if schema.column(index).max_repetition_level:
            # Runs of one number take no room in the file. Of a flat column a batch has few values.
            size += column.num_values * _WIDTH
        unpacked += size
        packed += column.total_compressed_size
    limit = max(_ANY_RATIO_BYTES, _MAX_RATIO * packed)
    return UnpackedSize(unpacked, limit) if unpacked > limit else None


def batch_rows(batch: Any, limit: int) -> Iterator[list[Any] | int]:
    """The rows of a batch, each as its values by column; of one over the limit only its bytes.

    Args:
        batch: A `pyarrow.RecordBatch`.
        limit: The most bytes that a row may have.
    """
    if unpacked_size(batch) <= limit:
        yield from map(list, zip(*(_values(column) for column in batch.columns), strict=True))
        return
    for index in range(batch.num_rows):
        row = batch.slice(index, 1)
        size = unpacked_size(row)
        yield size if size > limit else [_values(column)[0] for column in row.columns]


def unpacked_size(batch: Any) -> int:
    """Bytes that the values of a batch take, each for itself."""
    return sum(_array_size(column) for column in batch.columns)


def _array_size(array: Any) -> int:
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = array.type
    if isinstance(array, pa.ExtensionArray):
        return _array_size(array.storage)
    if pa.types.is_dictionary(kind):
        values = kind.value_type
        if not (_is_text(values) and len(array.dictionary)):
            return int(array.nbytes)
        lengths = pc.binary_length(array.dictionary).take(array.indices)
        return int(pc.sum(lengths.cast(pa.int64())).as_py() or 0) + _WIDTH * len(array)
    if pa.types.is_struct(kind):
        return sum(_array_size(array.field(index)) for index in range(kind.num_fields))
    if pa.types.is_map(kind):
        begin, end = array.offsets[0].as_py(), array.offsets[-1].as_py()
        children = (array.keys, array.items)
        return sum(_array_size(values.slice(begin, end - begin)) for values in children)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return _array_size(array.flatten()) + _WIDTH * len(array)
    return int(array.nbytes)


def _is_text(kind: Any) -> bool:
    import pyarrow.types as pt

    return bool(
        pt.is_string(kind)
        or pt.is_large_string(kind)
        or pt.is_binary(kind)
        or pt.is_large_binary(kind)
    )


def _values(column: Any) -> list[Any]:
    """The values of a column, with an `UnreadableValue` for each that Python has no form for."""
    try:
        values: list[Any] = with_unique_names(column).to_pylist()
    except Exception:  # OverflowError, ValueError, ArrowInvalid, UnicodeDecodeError and others
        values = [_value(column, index) for index in range(len(column))]
    return values


def with_unique_names(array: Any) -> Any:
    """An array whose structs have every field under a name of its own (`unique_names`).

    Python's dictionaries would have no place for the second field of a name, and pyarrow makes
    none at all of such a struct.
    """
    import pyarrow as pa

    kind = array.type
    if not repeats_names(kind):
        return array
    missing = array.is_null()
    if pa.types.is_struct(kind):
        children = [with_unique_names(array.field(index)) for index in range(kind.num_fields)]
        names = unique_names(field.name for field in kind)
        return pa.StructArray.from_arrays(children, names=names, mask=missing)
    make = pa.LargeListArray if pa.types.is_large_list(kind) else pa.ListArray
    return make.from_arrays(array.offsets, with_unique_names(array.values), mask=missing)


def repeats_names(kind: Any) -> bool:
    """Whether a type, or one in it, is a struct with two fields of one name."""
    import pyarrow as pa

    if pa.types.is_struct(kind):
        names = [field.name for field in kind]
        return len(names) > len(set(names)) or any(repeats_names(field.type) for field in kind)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return repeats_names(kind.value_type)
    return False


def _value(column: Any, index: int) -> Any:
    try:
        return column[index].as_py()
    except Exception as error:
        return UnreadableValue(error)
