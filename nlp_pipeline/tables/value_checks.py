"""Values that a column can hold: what any component may have put on a Doc is looked at here.

One value of another type would make the whole part unwritable, and with it every document in it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from numbers import Integral, Real
from typing import Any

import pyarrow as pa

from nlp_pipeline.tables.schemas import TABLES

_INT64 = 2**63


def checked_row(table: str, row: dict[str, Any]) -> dict[str, Any]:
    """A row with plain values of its columns' types; other keys stay as they are.

    Args:
        table: Its name.
        row: The values by column; a column may be missing where it is nullable.

    Raises:
        TypeError: A value is of another type, or is missing where there has to be one; it names
            the column.
    """
    checked = dict(row)
    for name, check, nullable in _columns(table):
        value = row.get(name)
        if value is None:
            if not nullable:
                raise TypeError(f"'{name}' has no value")
            continue
        try:
            checked[name] = check(value)
        except TypeError as error:
            raise TypeError(f"'{name}' is {error}") from None
    return checked


@lru_cache
def _columns(table: str) -> list[tuple[str, Callable[[Any], Any], bool]]:
    """Name, check and whether it may be null, of the columns that a Doc gives."""
    fields = (field for field in TABLES[table] if field.name != "document_id")
    return [(field.name, _check_of(field.type), field.nullable) for field in fields]


def _check_of(type_: pa.DataType) -> Callable[[Any], Any]:
    if pa.types.is_list(type_):
        item = _check_of(type_.value_type)

        def items(value: Any) -> list[Any]:
            if not isinstance(value, list | tuple):
                raise _type_error(value, "a list")
            return [item(element) for element in value]

        return items
    checks = {pa.string(): _text, pa.int64(): _integer, pa.bool_(): _truth}
    return checks.get(type_, _number)


def _text(value: Any) -> str:
    """A string; half a surrogate pair, which no file can hold, becomes U+FFFD."""
    if not isinstance(value, str):
        raise _type_error(value, "a string")
    if value.isascii():
        return value
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise _type_error(value, "an integer")
    number = int(value)
    if not -_INT64 <= number < _INT64:
        raise TypeError("an integer of more than 64 bits")
    return number


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _type_error(value, "true or false")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise _type_error(value, "a number")
    return float(value)


def _type_error(value: Any, expected: str) -> TypeError:
    return TypeError(f"{value!r:.80} and not {expected}")
