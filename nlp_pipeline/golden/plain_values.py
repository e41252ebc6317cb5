"""Frames as tables of plain JSON values: what is written and what is compared."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nlp_pipeline.golden.store import Table

if TYPE_CHECKING:
    import pandas as pd


NOT_COMPARED = ("reused_tokens",)
"""Columns that say how the work went, not what came out of it: what a prompt can share depends on
which others happen to be computed before it, so a resumed run or another batch size changes it."""


def plain_tables(frames: Mapping[str, pd.DataFrame]) -> dict[str, Table]:
    """Every frame as columns and rows; the index is left out."""
    return {name: plain_table(frame) for name, frame in frames.items()}


def plain_table(frame: pd.DataFrame) -> Table:
    """A frame as columns and rows.

    pandas keeps a missing float as NaN: both are null here. What JSON has no word for, such as a
    time, is its text.
    """
    compared_columns = {
        i: str(c) for i, c in enumerate(frame.columns) if str(c) not in NOT_COMPARED
    }
    columns = list(compared_columns.values())
    cells = [[plain(v) for v in frame.iloc[:, i].tolist()] for i in compared_columns]
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*cells, strict=True)]
    return Table(columns, rows)


def plain(value: Any) -> Any:
    """A cell as a plain JSON value."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return None if math.isnan(value) else float(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):  # a numpy array or scalar
        return plain(value.tolist())
    # pandas' own word for missing is equal to nothing, not even to itself.
    return None if type(value).__name__ in ("NAType", "NaTType") else str(value)
