"""Rows to Arrow tables to pandas frames: one way, so that memory and disk give the same frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from nlp_pipeline.tables.rows import Origin, Row, Rows, doc_rows, extension
from nlp_pipeline.tables.schemas import TABLES

if TYPE_CHECKING:
    from spacy.tokens import Doc

_PANDAS_TYPES: dict[pa.DataType, Any] = {
    pa.int64(): pd.Int64Dtype(),
    pa.bool_(): pd.BooleanDtype(),
}


def to_frames(docs: Iterable[Doc]) -> dict[str, pd.DataFrame]:
    """The tables of Docs in memory: the same frames that `read_run` gives for a run.

    A Doc is named by `doc._.record_id`, else `doc:0`, `doc:1`, … by its place.

    Returns:
        One frame per name of `TABLES`, with all columns even where there is no row. Integers
        and booleans are pandas' nullable types.
    """
    rows: Rows = {name: [] for name in TABLES}
    for position, doc in enumerate(docs):
        for name, more in doc_rows(doc, _origin(doc, position)).items():
            rows[name] += more
    return {name: to_frame(to_arrow(name, rows[name])) for name in TABLES}


def to_arrow(name: str, rows: Iterable[Row]) -> pa.Table:
    """Rows of a table under its declared schema; a column that a row lacks is null there."""
    return pa.Table.from_pylist(list(rows), schema=TABLES[name])


def to_frame(table: pa.Table) -> pd.DataFrame:
    """An Arrow table as a frame; lists stay lists."""
    frame: pd.DataFrame = table.to_pandas(types_mapper=_PANDAS_TYPES.get)
    for field in table.schema:
        if pa.types.is_list(field.type):
            frame[field.name] = pd.Series(table[field.name].to_pylist(), dtype=object)
    return frame


def _origin(doc: Doc, position: int) -> Origin:
    return Origin(
        document_id=str(extension(doc, "record_id") or f"doc:{position}"),
        position=position,
        text=doc.text,
        meta=extension(doc, "meta") or {},
    )


def iter_tables(rows: Rows) -> Iterator[tuple[str, pa.Table]]:
    """Arrow tables of rows, in the order of `TABLES`."""
    for name in TABLES:
        yield name, to_arrow(name, rows.get(name, ()))
