"""Names of columns: every value gets one of its own, whatever a table's header says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable


def unique_names(names: Iterable[str]) -> list[str]:
    """Column names of which none stands twice, and none is empty.

    The first of a name keeps it; a second `text` is `text_2`, the third column without a name is
    `column_3`.

    Args:
        names: As the table has them, in its order.
    """
    columns = list(names)
    used = set(columns)
    unique: dict[str, None] = {}
    repeats: Counter[str] = Counter()
    for position, column in enumerate(columns, 1):
        name = base = column or f"column_{position}"
        while name in unique or (name != column and name in used):
            repeats[base] += 1
            name = f"{base}_{repeats[base] + 1}"
        unique[name] = None
    return list(unique)
