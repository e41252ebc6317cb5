"""What differs between the tables that were recorded and those that were found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from nlp_pipeline.golden.store import Row, Table, Tables
from nlp_pipeline.tables.equality import Tolerance, cell_differences

KEYS: dict[str, tuple[str, ...]] = {
    "documents": ("document_id",),
    "sentences": ("document_id", "sentence_id"),
    "tokens": ("document_id", "token_id"),
    "entities": ("document_id", "entity_id"),
    "spans": ("document_id", "group", "span_id"),
    "categories": ("document_id", "label"),
    "answers": ("document_id", "question_id", "component"),
    "summaries": ("document_id", "component"),
    "errors": ("document_id", "component", "question_id"),
}
"""What names a row. Rows of one name are told apart by their order, as are those of tables that
stand here not; in these, `document_id` is the name where it is a column."""

Kind = Literal[
    "missing table",
    "unexpected table",
    "missing column",
    "unexpected column",
    "column order",
    "missing row",
    "unexpected row",
    "row order",
    "value",
]
Key = tuple[Any, ...]


@dataclass(frozen=True)
class Difference:
    """One thing that is not as it was recorded.

    Attributes:
        table: Where.
        kind: What kind of thing.
        row: The row's name, such as `document_id=news-1, question_id=q1`.
        column: The column, for a value or a column; for a value inside JSON with its pointer.
        expected: What was recorded; for a row the whole row.
        found: What there is now.
    """

    table: str
    kind: Kind
    row: str = ""
    column: str = ""
    expected: Any = None
    found: Any = None


def compare(expected: Tables, actual: Tables, tolerance: Tolerance) -> list[Difference]:
    """All differences, table by table in the order of the recorded ones.

    Args:
        expected: What was recorded.
        actual: What there is now.
        tolerance: For numbers with a fraction; all else must be equal.
    """
    differences = []
    for name in [*expected, *(name for name in actual if name not in expected)]:
        if name not in actual:
            differences.append(Difference(name, "missing table"))
        elif name not in expected:
            # A table that has come since, and holds nothing, is no difference.
            if not actual[name].rows:
                continue
            differences.append(Difference(name, "unexpected table"))
        else:
            differences += compare_table(name, expected[name], actual[name], tolerance)
    return differences


def compare_table(
    name: str, expected: Table, actual: Table, tolerance: Tolerance
) -> Iterator[Difference]:
    """The differences of one table: columns, then rows, then values."""
    yield from _columns(name, expected.columns, actual.columns)
    old_rows, new_rows = keyed(name, expected), keyed(name, actual)
    for key in old_rows:
        if key not in new_rows:
            yield Difference(
                name, "missing row", _label(name, key, expected), expected=old_rows[key]
            )
    for key in new_rows:
        if key not in old_rows:
            yield Difference(name, "unexpected row", _label(name, key, actual), found=new_rows[key])
    yield from _row_order(name, old_rows, new_rows, expected)
    shared_columns = [column for column in expected.columns if column in actual.columns]
    for key in old_rows:
        if key not in new_rows:
            continue
        for column in shared_columns:
            old, new = old_rows[key].get(column), new_rows[key].get(column)
            for pointer, old_value, new_value in cell_differences(
                name, column, old, new, tolerance
            ):
                yield Difference(
                    name,
                    "value",
                    _label(name, key, expected),
                    column=column + pointer,
                    expected=old_value,
                    found=new_value,
                )


def merged(expected: Tables, actual: Tables, tolerance: Tolerance) -> dict[str, Table]:
    """What was found, with the recorded digits of every number that is within the tolerance.

    So an update on another machine changes no line whose values have not changed.
    """
    tables = {}
    for name, table in actual.items():
        old = keyed(name, expected[name]) if name in expected else {}
        rows = [
            {
                c: _merged_value(name, old.get(key, {}), c, value, tolerance)
                for c, value in row.items()
            }
            for key, row in keyed(name, table).items()
        ]
        tables[name] = Table(table.columns, rows)
    return tables


def _merged_value(table: str, old: Row, column: str, value: Any, tolerance: Tolerance) -> Any:
    is_equal = column in old and not any(
        cell_differences(table, column, old[column], value, tolerance)
    )
    return old[column] if is_equal else value


def key_columns(table: str, columns: Sequence[str]) -> tuple[str, ...]:
    """The columns that name a row of a table."""
    keys = KEYS.get(table, ("document_id",))
    return tuple(column for column in keys if column in columns)


def keyed(name: str, table: Table) -> dict[Key, Row]:
    """Rows by name; the last part of a name counts the rows that have it otherwise in common."""
    columns = key_columns(name, table.columns)
    counts: Counter[Key] = Counter()
    rows = {}
    for row in table.rows:
        key = tuple(str(row.get(column)) for column in columns)
        rows[(*key, counts[key])] = row
        counts[key] += 1
    return rows


def _columns(name: str, expected: list[str], actual: list[str]) -> Iterator[Difference]:
    for column in expected:
        if column not in actual:
            yield Difference(name, "missing column", column=column)
    for column in actual:
        if column not in expected:
            yield Difference(name, "unexpected column", column=column)
    if expected != actual and sorted(expected) == sorted(actual):
        yield Difference(name, "column order", expected=expected, found=actual)


def _row_order(
    name: str, old_rows: dict[Key, Row], new_rows: dict[Key, Row], expected: Table
) -> Iterator[Difference]:
    """The first row that stands where another should."""
    shared_then = [key for key in old_rows if key in new_rows]
    shared_now = [key for key in new_rows if key in old_rows]
    for old, new in zip(shared_then, shared_now, strict=True):
        if old != new:
            labels = [_label(name, key, expected) for key in (old, new)]
            yield Difference(name, "row order", expected=labels[0], found=labels[1])
            return


def _label(name: str, key: Key, table: Table) -> str:
    *values, number = key
    columns = key_columns(name, table.columns)
    label = ", ".join(f"{c}={v}" for c, v in zip(columns, values, strict=False))
    if not label:
        return f"row {number + 1}"
    return f"{label} (number {number + 1})" if number else label
