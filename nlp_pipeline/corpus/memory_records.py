"""Records that a program has at hand: tables, data sets, texts, pairs of a text and its context.

Each becomes a line of JSON first, which is read as a line of a file is: a table in memory and the
same table on disk give the same records, and a run can keep the lines in its folder.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import orjson

from nlp_pipeline.corpus.column_names import unique_names
from nlp_pipeline.corpus.corpus_file import CorpusFile
from nlp_pipeline.corpus.json_object import parse_value
from nlp_pipeline.corpus.notes import Notes
from nlp_pipeline.corpus.read_options import NumberedFields, ReadOptions
from nlp_pipeline.corpus.sources import MEMORY
from nlp_pipeline.corpus.streams import line_limit, open_stream, read_lines
from nlp_pipeline.corpus.text_field import require_text_column, with_text_field
from nlp_pipeline.errors.corpus import NotACorpus
from nlp_pipeline.errors.records import BadRecord, ItemNotRecord, Place

_BATCH_ROWS = 1024
_SETTING = "text_key"
"""What names the field with the text, for a program."""
_ARROW_TABLES = ("Table", "Dataset", "RecordBatch", "RecordBatchReader")
_OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE


def is_in_memory(corpus: object) -> bool:
    """Whether a corpus is an object of a program and not the name of a file."""
    return not isinstance(corpus, (str, os.PathLike))


def record_lines(corpus: Any, options: ReadOptions, notes: Notes) -> Iterator[bytes]:
    """A line of JSON for each record, in order, in constant memory.

    What is no record becomes a JSON string that says what it is, so that it keeps its place.

    Args:
        corpus: A pandas, polars or Arrow table, a `datasets.Dataset`, or any iterable of records
            (mappings), texts, or pairs of a text and its context as `nlp.pipe` takes them.
        options: Names of the fields.
        notes: Takes the warning about two columns of one name.

    Raises:
        NotACorpus: It is none of these; raised by the call itself.
        NoTextColumn: It is a table without the text; raised by the call itself.
        NoTextField: None of its records has the text; raised by the call, and of what can be read
            but once with the first line.
    """
    items = _items(corpus, options, notes)
    return (_line(item, options) for item in items)


def read_records(file: CorpusFile, options: ReadOptions, notes: Notes) -> Iterator[NumberedFields]:
    """The fields of every line that `record_lines` gave, or the reason why there are none."""
    with open_stream(file.path, "") as stream:
        limit = line_limit(options.max_length)
        for number, offset, data in read_lines(stream, file.source, limit, notes):
            yield number, _fields(data, Place(file.source, number), offset, notes)


def memory_fields(
    corpus: Any, options: ReadOptions, notes: Notes, source: str = MEMORY
) -> Iterator[NumberedFields]:
    """The fields of every record of a corpus in memory, which is not copied anywhere.

    Args:
        corpus: As in `record_lines`.
        options: Names of the fields.
        notes: Takes the warnings.
        source: What messages call the corpus.

    Raises:
        NotACorpus: As in `record_lines`; likewise the others.
    """
    lines = record_lines(corpus, options, notes)
    return (
        (number, _fields(line, Place(source, number), 0, notes))
        for number, line in enumerate(lines, 1)
    )


def _fields(
    data: bytes | BadRecord, place: Place, offset: int, notes: Notes
) -> dict[str, Any] | BadRecord:
    if isinstance(data, BadRecord):
        return data
    try:
        value = parse_value(data, place, offset, notes)
    except BadRecord as error:
        return error
    return value if isinstance(value, dict) else ItemNotRecord(place, str(value))


def _items(corpus: Any, options: ReadOptions, notes: Notes) -> Iterable[Any]:
    """The records of a corpus, as mappings where it is a table."""
    if _is(corpus, "polars", "LazyFrame"):
        corpus = corpus.collect()
    columns = _columns(corpus)
    if columns is not None:
        title = f"The {type(corpus).__name__}"
        require_text_column(columns, options.text_key, title, setting=_SETTING)
    if _is(corpus, "pandas", "DataFrame"):
        return _frame_rows(corpus, options, notes)
    if _is(corpus, "polars", "DataFrame"):
        rows: Iterator[dict[str, Any]] = corpus.iter_rows(named=True)
        return rows
    if _is(corpus, "pyarrow", "Table") or _is(corpus, "pyarrow", "Dataset"):
        return _arrow_rows(corpus.to_batches(), notes)
    if _is(corpus, "pyarrow", "RecordBatch"):
        return _arrow_rows([corpus], notes)
    if _is(corpus, "pyarrow", "RecordBatchReader"):
        return _arrow_rows(corpus, notes)
    if isinstance(corpus, Mapping):
        raise NotACorpus(type(corpus).__name__, tuple(map(str, corpus)))
    if isinstance(corpus, (bytes, bytearray)):
        raise NotACorpus(type(corpus).__name__)
    try:
        items: Iterator[Any] = iter(corpus)
    except TypeError:
        raise NotACorpus(type(corpus).__name__) from None
    if items is corpus:  # can be read but once: nothing is taken from it before it is wanted
        return _looked_at_later(items, options)
    return _with_text(items, options)


def _columns(corpus: Any) -> list[str] | None:
    """The columns of a table; None of what is no table, or does not know them yet."""
    if _is(corpus, "pandas", "DataFrame"):
        return [str(column) for column in corpus.columns]
    if _is(corpus, "polars", "DataFrame"):
        return list(corpus.columns)
    if any(_is(corpus, "pyarrow", name) for name in _ARROW_TABLES):
        return list(corpus.schema.names)
    if _is(corpus, "datasets", "Dataset") or _is(corpus, "datasets", "IterableDataset"):
        return corpus.column_names and list(corpus.column_names)
    return None


def _with_text(items: Iterable[Any], options: ReadOptions) -> Iterator[Any]:
    fields_of = partial(_fields_of, options=options)
    return with_text_field(items, fields_of, options.text_key, "The corpus", setting=_SETTING)


def _fields_of(item: Any, options: ReadOptions) -> dict[Any, Any] | None:
    try:
        return _record(item, options)
    except TypeError:
        return None


def _looked_at_later(items: Iterator[Any], options: ReadOptions) -> Iterator[Any]:
    yield from _with_text(items, options)


def _is(value: object, library: str, name: str) -> bool:
    """Whether a value is of a library's class, without importing the library."""
    classes = type(value).__mro__
    return any(c.__name__ == name and c.__module__.split(".")[0] == library for c in classes)


def _frame_rows(frame: Any, options: ReadOptions, notes: Notes) -> Iterator[dict[str, Any]]:
    """The rows of a pandas frame; an index called as the id is a column like the others."""
    columns = [str(column) for column in frame.columns]
    names = _distinct(columns, notes)
    is_id = frame.index.name == options.id_key and options.id_key not in columns
    names = [options.id_key, *names] if is_id else names
    for values in frame.itertuples(index=is_id, name=None):
        yield dict(zip(names, values, strict=True))


def _arrow_rows(batches: Iterable[Any], notes: Notes) -> Iterator[dict[str, Any]]:
    for batch in batches:
        names = _distinct(batch.schema.names, notes)
        for start in range(0, batch.num_rows, _BATCH_ROWS):
            rows = batch.slice(start, _BATCH_ROWS)
            for values in zip(*(column.to_pylist() for column in rows.columns), strict=True):
                yield dict(zip(names, values, strict=True))


def _distinct(columns: list[str], notes: Notes) -> list[str]:
    names = unique_names(columns)
    for column, name in zip(columns, names, strict=True):
        if column and name != column:
            notes.once("repeated_column", Place(MEMORY, 1), column)
    return names


def _line(item: Any, options: ReadOptions) -> bytes:
    """An item as one line of JSON: an object where it is a record, else a string."""
    try:
        fields = _record(item, options)
    except TypeError as error:
        return orjson.dumps(str(error), option=_OPTIONS)
    try:
        return orjson.dumps(fields, default=_plain, option=_OPTIONS)
    except TypeError:  # integers of more than 64 bits, half a surrogate pair, deep nesting
        pass
    try:
        return json.dumps(fields, default=_plain).encode("ascii") + b"\n"
    except (TypeError, ValueError, RecursionError) as error:
        return orjson.dumps(f"a record that is no JSON ({error})", option=_OPTIONS)


def _record(item: Any, options: ReadOptions) -> dict[Any, Any]:
    """The fields of an item.

    Raises:
        TypeError: It is no record; the text says what it is.
    """
    if isinstance(item, str) or _is_missing(item):
        return {options.text_key: item}
    if isinstance(item, Mapping):
        return dict(item)
    if isinstance(item, (tuple, list)) and len(item) == 2 and isinstance(item[0], str):
        text, context = item
        own = dict(context) if isinstance(context, Mapping) else {"context": context}
        return {**own, options.text_key: text}
    length = f" of {len(item)}" if isinstance(item, (tuple, list)) else ""
    raise TypeError(f"an item of type {type(item).__name__}{length}")


def _is_missing(value: Any) -> bool:
    """Whether a value stands for none: None, NaN, NaT, pandas' NA."""
    if value is None or type(value).__name__ == "NAType":
        return True
    try:
        return bool(value != value)
    except Exception:  # an array, or whatever its `__ne__` may do
        return False


def _plain(value: Any) -> Any:
    """A value that JSON has no form for: dates as ISO 8601, decimals as text, arrays as lists."""
    if _is_missing(value):
        return None
    if isinstance(value, (bytes, bytearray, memoryview)):
        try:
            return bytes(value).decode("utf-8")
        except UnicodeDecodeError:
            return None
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal):
        return str(value)
    for name in ("isoformat", "tolist"):
        if callable(method := getattr(value, name, None)):
            return method()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=str)
    return str(value)
