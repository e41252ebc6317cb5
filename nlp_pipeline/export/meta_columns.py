"""`documents.meta`, one JSON object a document, as columns: `meta.author`, `meta.place.city`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import pyarrow as pa

from nlp_pipeline.errors.export import TooManyMetaFields

MOST_FIELDS = 500
"""An object whose keys are data, such as dates, would make a table of ten thousand columns."""
_INT64 = 2**63
_TYPES: dict[frozenset[str], pa.DataType] = {
    frozenset(["bool"]): pa.bool_(),
    frozenset(["int"]): pa.int64(),
    frozenset(["float"]): pa.float64(),
    frozenset(["int", "float"]): pa.float64(),
}


class _Field(NamedTuple):
    """A field of `meta` as a column."""

    path: tuple[str, ...]
    name: str
    type: pa.DataType


class MetaColumns:
    """The columns in place of `meta`, by what its fields hold in all documents.

    A field that is a number (or a truth value) wherever it stands is one in its column; any other
    is text: strings as they are, lists and mixed values as JSON. Databases do not tell `Author`
    from `author`: the second of such names ends with `_2`.

    Args:
        columns: The column `meta`, part by part.

    Raises:
        TooManyMetaFields: There are more than 500.
    """

    def __init__(self, columns: Iterable[Any]) -> None:
        kinds: dict[tuple[str, ...], set[str]] = {}
        for column in columns:
            for text in column.to_pylist():
                for path, value in _leaves(json.loads(text) if text else {}):
                    kinds.setdefault(path, set()).update(_kind(value))
            if len(kinds) > MOST_FIELDS:
                raise TooManyMetaFields(MOST_FIELDS, map(".".join, kinds))
        names: set[str] = set()
        self._fields = [
            _Field(path, _unique(path, names), _TYPES.get(frozenset(kinds[path]), pa.string()))
            for path in kinds
        ]

    @property
    def texts(self) -> list[str]:
        """The names of the columns that hold text."""
        return [field.name for field in self._fields if field.type == pa.string()]

    def schema(self, schema: pa.Schema) -> pa.Schema:
        """The schema of `documents` with these columns in place of `meta`."""
        index = schema.get_field_index("meta")
        fields = [schema.field(name) for name in schema.names if name != "meta"]
        own = [
            pa.field(f.name, f.type, metadata={"meaning": f"the record's field {'.'.join(f.path)}"})
            for f in self._fields
        ]
        return pa.schema([*fields[:index], *own, *fields[index:]])

    def flattened(self, table: pa.Table) -> pa.Table:
        """Rows of `documents` with these columns in place of `meta`."""
        values: dict[tuple[str, ...], list[Any]] = {field.path: [] for field in self._fields}
        for text in table["meta"].to_pylist():
            leaves = dict(_leaves(json.loads(text) if text else {}))
            for path, column in values.items():
                column.append(leaves.get(path))
        arrays = {f.name: pa.array(_typed(values[f.path], f.type), f.type) for f in self._fields}
        schema = self.schema(table.schema)
        return pa.table(
            [arrays.get(n, table[n] if n in table.column_names else None) for n in schema.names],
            schema=schema,
        )


def _leaves(
    value: dict[str, Any], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The values of an object that are no objects, each with the names that lead to it."""
    for name, inner in value.items():
        if isinstance(inner, dict) and inner:
            yield from _leaves(inner, (*path, name))
        else:
            yield (*path, name), inner


def _kind(value: Any) -> set[str]:
    if value is None:
        return set()
    if isinstance(value, int) and not isinstance(value, bool) and not -_INT64 <= value < _INT64:
        return {"str"}
    return {type(value).__name__}


def _typed(values: list[Any], type_: pa.DataType) -> list[Any]:
    if type_ == pa.string():
        return [
            v if v is None or isinstance(v, str) else json.dumps(v, ensure_ascii=False)
            for v in values
        ]
    if type_ == pa.float64():
        return [None if value is None else float(value) for value in values]
    return values


def _unique(path: tuple[str, ...], names: set[str]) -> str:
    base = name = "meta." + ".".join(path)
    number = 1
    while name.casefold() in names:
        number += 1
        name = f"{base}_{number}"
    names.add(name.casefold())
    return name
