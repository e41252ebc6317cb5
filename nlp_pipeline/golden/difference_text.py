"""Differences as text: which table, row and column, and where in a text the change is."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import groupby
from typing import Any

from nlp_pipeline.errors.base import counted
from nlp_pipeline.errors.escapes import escaped
from nlp_pipeline.golden.compare import Difference
from nlp_pipeline.tables.equality import Tolerance, equal

PER_TABLE = 8
"""Differences of a table that are shown unless told otherwise."""
SHORT = 72
"""Texts up to this long are shown whole, one under the other."""
CONTEXT = 6
"""Words shown on either side of a changed one."""
MAX_WORDS = 400
"""Changed words that are shown of one text."""


def render(differences: Sequence[Difference], tolerance: Tolerance, per_table: int) -> str:
    """The differences, grouped by table and row; of each table so many and a count of the rest."""
    lines: list[str] = []
    for table, group in groupby(differences, key=lambda d: d.table):
        members = list(group)
        lines.append(f"{table}: {counted(len(members), 'difference')}")
        lines += _table(members[:per_table], tolerance)
        if rest := members[per_table:]:
            kinds = Counter(d.column if d.kind == "value" else d.kind for d in rest)
            counts = ", ".join(f"{kind} {n}" for kind, n in kinds.most_common(6))
            lines.append(f"  … and {len(rest)} more ({counts})")
    return "\n".join(lines)


def _table(differences: Sequence[Difference], tolerance: Tolerance) -> Iterator[str]:
    for row, group in groupby(differences, key=lambda d: d.row if d.kind == "value" else ""):
        if row:
            yield f"  {escaped(row, 200)}"
        for difference in group:
            indent = "    " if row else "  "
            yield from (indent + line for line in _difference_lines(difference, tolerance))


def _difference_lines(difference: Difference, tolerance: Tolerance) -> list[str]:
    row, column = escaped(difference.row, 200), escaped(difference.column)
    match difference.kind:
        case "missing table":
            return ["the table is missing"]
        case "unexpected table":
            return ["the table is not in the golden output"]
        case "missing column":
            return [f"the column '{column}' is missing"]
        case "unexpected column":
            return [f"the column '{column}' is not in the golden output"]
        case "column order":
            return [
                "the columns are in another order",
                f"  expected {', '.join(difference.expected)}",
                f"  found    {', '.join(difference.found)}",
            ]
        case "missing row":
            return [f"{row}", f"  the row is missing: {_json(difference.expected, 160)}"]
        case "unexpected row":
            return [f"{row}", f"  the row is new: {_json(difference.found, 160)}"]
        case "row order":
            return [
                "the rows are in another order; the first that is out of place:",
                f"  expected {escaped(difference.expected, 200)}",
                f"  found    {escaped(difference.found, 200)}",
            ]
        case "value":
            return _value(column, difference, tolerance)


def _value(column: str, difference: Difference, tolerance: Tolerance) -> list[str]:
    expected, actual = difference.expected, difference.found
    if isinstance(expected, float) and isinstance(actual, float):
        off, allowed = abs(actual - expected), tolerance.allowed(expected)
        return [
            f"{column}: expected {expected!r}, found {actual!r} "
            f"(off by {off:.3g}, allowed {allowed:.3g})"
        ]
    if isinstance(expected, list) and isinstance(actual, list):
        return _lists(column, expected, actual, tolerance)
    texts = isinstance(expected, str) and isinstance(actual, str)
    if texts and max(len(expected), len(actual)) > SHORT:
        return [f"{column}: {word_diff(expected, actual)}", *_code_points(expected, actual)]
    old, new = _json(expected), _json(actual)
    head = f"{column}: "
    lines = [f"{head}expected {old}", f"{' ' * len(head)}found    {new}"]
    if texts:
        lines.append(" " * (len(head) + len("found    ")) + carets(old, new))
        lines += _code_points(expected, actual)
    return lines


def _lists(column: str, expected: list[Any], actual: list[Any], tolerance: Tolerance) -> list[str]:
    if len(expected) + len(actual) <= 12:
        head = f"{column}: "
        return [
            f"{head}expected {_json(expected, 200)}",
            f"{' ' * len(head)}found    {_json(actual, 200)}",
        ]
    if len(expected) != len(actual):
        return [f"{column}: expected {len(expected)} elements, found {len(actual)}"]
    pairs = enumerate(zip(expected, actual, strict=True))
    off = [(i, old, new) for i, (old, new) in pairs if not equal(old, new, tolerance)]
    index, old, new = off[0]
    return [
        f"{column}: {len(off)} of {len(actual)} elements differ, first [{index}]: "
        f"expected {_json(old)}, found {_json(new)}"
    ]


def carets(expected: str, actual: str) -> str:
    """Spaces and carets under the part of `actual` that is not as expected."""
    start, end = _changed(expected, actual)
    return " " * start + "^" * max(end - start, 1)


def _changed(expected: Sequence[Any], actual: Sequence[Any]) -> tuple[int, int]:
    """Where `actual` begins and ends to differ: the ends that they share are left out."""
    shorter = min(len(expected), len(actual))
    start = next((i for i in range(shorter) if expected[i] != actual[i]), shorter)
    n_common = 0
    while n_common < shorter - start and expected[-1 - n_common] == actual[-1 - n_common]:
        n_common += 1
    return start, len(actual) - n_common


def _code_points(expected: str, actual: str) -> list[str]:
    """Names the first differing characters where eyes may not tell them apart."""
    start, _ = _changed(expected, actual)
    old, new = expected[start : start + 1], actual[start : start + 1]
    if (old + new).isascii() and (old + new).isprintable():
        return []
    names = [f"U+{ord(char):04X}" if char else "the end" for char in (old, new)]
    return [f"  the first difference, at character {start}: {names[0]} → {names[1]}"]


def word_diff(expected: str, actual: str) -> str:
    """Both texts in one: `… of [-twelve-]{+thirteen+} words …`, equal stretches shortened."""
    old, new = (re.findall(r"\w+|\s+|[^\w\s]", text) for text in (expected, actual))
    start, end = _changed(old, new)
    tail = len(new) - end
    middle_old, middle_new = old[start : len(old) - tail], new[start:end]
    parts = [_shared(old[:start], first=True)]
    matcher = SequenceMatcher(None, middle_old[:MAX_WORDS], middle_new[:MAX_WORDS], autojunk=False)
    for tag, a, b, c, d in matcher.get_opcodes():
        if tag == "equal":
            parts.append(_shared(middle_old[a:b]))
        else:
            parts += [f"[-{''.join(middle_old[a:b])}-]"] * (b > a)
            parts += [f"{{+{''.join(middle_new[c:d])}+}}"] * (d > c)
    if max(len(middle_old), len(middle_new)) > MAX_WORDS:
        parts.append(" … (more is different)")
    parts.append(_shared(old[len(old) - tail :], last=True))
    return escaped("".join(parts), 4000)


def _shared(words: Sequence[str], *, first: bool = False, last: bool = False) -> str:
    """Words that both texts have; of many, those next to a change."""
    keep = 2 * CONTEXT
    if len(words) <= (keep if first or last else 2 * keep):
        return "".join(words)
    head = "" if first else "".join(words[:keep]).rstrip() + " "
    return head + "…" + ("" if last else " " + "".join(words[-keep:]).lstrip())


def _json(value: Any, limit: int = 400) -> str:
    return escaped(json.dumps(value, ensure_ascii=False), limit)
