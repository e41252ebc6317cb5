"""When two cells of a table are the same: numbers with a fraction within a tolerance.

Processors round differently in the last digits of a float. Such a number is the same number
wherever it stands: in a float column, in a list, or inside the JSON text of a column that
`schemas.py` declares as JSON.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from nlp_pipeline.errors.golden import InvalidTolerance
from nlp_pipeline.tables.schemas import JSON_COLUMNS

RTOL, ATOL = 1e-4, 1e-5
"""Well above the rounding of a float32 model, well below what a changed model does."""


@dataclass(frozen=True)
class Tolerance:
    """How far a number with a fraction may be off: `absolute + relative * abs(expected)`."""

    relative: float = RTOL
    absolute: float = ATOL

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not isinstance(value, int | float) or not 0 <= value < math.inf:
                raise InvalidTolerance(name, value)

    def allowed(self, expected: float) -> float:
        """How far from this value another may be."""
        return self.absolute + self.relative * abs(expected)


class CellDifference(NamedTuple):
    """Two values of one cell that are not the same.

    Attributes:
        pointer: Where in a JSON column's value, as a JSON pointer; empty for the whole cell.
        expected: The one value.
        actual: The other value.
    """

    pointer: str
    expected: Any
    actual: Any


def cell_differences(
    table: str, column: str, expected: Any, actual: Any, tolerance: Tolerance
) -> Iterator[CellDifference]:
    """What is not the same in two cells of a column; nothing where they are the same.

    Args:
        table: The table's name; columns that its schema declares as JSON are compared as values.
        column: The column's name.
        expected: A plain JSON value.
        actual: Another.
        tolerance: For numbers with a fraction; all else must be equal.
    """
    if column in JSON_COLUMNS.get(table, ()) and expected != actual:
        try:
            values = json.loads(expected), json.loads(actual)
        except (TypeError, ValueError, RecursionError):
            pass  # null, or a text that is no JSON: compared as it is
        else:
            yield from _json_differences("", *values, tolerance)
            return
    if not equal(expected, actual, tolerance):
        yield CellDifference("", expected, actual)


def equal(expected: Any, actual: Any, tolerance: Tolerance) -> bool:
    """Whether two plain values are the same: floats within the tolerance, lists elementwise.

    `1`, `1.0` and `true` are three different values, as are null and an empty text. Objects have
    the same keys in the same order.
    """
    if isinstance(expected, list) and isinstance(actual, list):
        return len(expected) == len(actual) and all(
            equal(old, new, tolerance) for old, new in zip(expected, actual, strict=True)
        )
    if isinstance(expected, dict) and isinstance(actual, dict):
        return list(expected) == list(actual) and all(
            equal(expected[key], actual[key], tolerance) for key in expected
        )
    if isinstance(expected, float) and isinstance(actual, float):
        if math.isfinite(expected) and math.isfinite(actual):
            return abs(actual - expected) <= tolerance.allowed(expected)
        return repr(expected) == repr(actual)
    return type(expected) is type(actual) and bool(expected == actual)


def _json_differences(
    pointer: str, expected: Any, actual: Any, tolerance: Tolerance
) -> Iterator[CellDifference]:
    """The smallest values that are not the same, each with where it stands."""
    if isinstance(expected, dict) and isinstance(actual, dict) and list(expected) == list(actual):
        pairs = [(key, expected[key], actual[key]) for key in expected]
    elif isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        pairs = [(str(i), *values) for i, values in enumerate(zip(expected, actual, strict=True))]
    else:
        if not equal(expected, actual, tolerance):
            yield CellDifference(pointer, expected, actual)
        return
    for key, old, new in pairs:
        step = key.replace("~", "~0").replace("/", "~1")
        yield from _json_differences(f"{pointer}/{step}", old, new, tolerance)
