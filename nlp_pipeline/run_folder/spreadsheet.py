"""Cells that a spreadsheet would run when it opens a CSV file, and the quote that keeps it from it.

Documents are written by anybody, and so is what a model makes of them: a text such as
`=HYPERLINK(…)` would be a formula. Only columns of free text are looked at. Annotation (tags,
lemmas, labels) is never changed: `-LRB-` is a tag.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

import pyarrow as pa

from nlp_pipeline.run_folder.files import Format

FREE_TEXT: dict[str, tuple[str, ...]] = {
    "documents": ("document_id", "source", "text", "error"),
    "sentences": ("document_id", "text"),
    "tokens": ("document_id", "text"),
    "entities": ("document_id", "text"),
    "spans": ("document_id", "text"),
    "categories": ("document_id",),
    "answers": ("document_id", "question", "answer", "reasoning", "error"),
    "answer_candidates": ("document_id", "text"),
    "answer_entities": ("document_id", "text"),
    "summaries": ("document_id", "summary", "reasoning", "error"),
    "summary_sentences": ("document_id", "text"),
    "extractions": ("document_id", "reasoning", "error"),
    "extraction_fields": ("document_id", "value"),
    "classifications": ("document_id", "error"),
    "generations": ("document_id", "text", "reasoning", "error"),
    "chunks": ("document_id",),
    "layout": ("document_id", "section"),
    "errors": ("document_id", "source", "message"),
    "reviews": ("document_id", "answer", "text", "note", "reviewer"),
}
"""Per table the columns that a document, a record or a model writes, but for JSON objects."""

_ALWAYS = "=＝"
_SIGNS = "+-@＋－−＠"
_NUMBER = re.compile(r"[\d.,'\s\u00a0\u202f]*\d[\d.,'\s\u00a0\u202f]*(?:[eE][+-]?\d+)?\s*[%‰€$£¥]?")
_REFERENCE = r"(?:\$?[A-Za-z]{1,3}\$?\d+|\d[\d.,]*%?)"
_ARITHMETIC = re.compile(rf"{_REFERENCE}(?:[-+*/^&<>=:]+{_REFERENCE})*")
_CALLS = re.compile(r"[(|!]")


class Guarded(NamedTuple):
    """A table as a spreadsheet may open it.

    Attributes:
        table: The same rows.
        cells: How many of them got a quote in front.
    """

    table: pa.Table
    cells: int


def for_disk(name: str, table: pa.Table, format_: Format) -> pa.Table:
    """A table as it is written: in CSV with a quote before what a spreadsheet would run."""
    return guarded(name, table).table if format_ == "csv" else table


def would_run(text: str) -> bool:
    """Whether a spreadsheet would take a cell for a formula and compute it.

    That is one that begins with `=`, and one that begins with `+`, `-` or `@` and goes on with a
    call, a reference or a sum: not a number (`-12`), not a dash (`- and so on`, `-LRB-`), not a
    name (`@home`).
    """
    bare = text.lstrip(" \t\r\n\x0b\x0c\0\u00a0\ufeff")
    first, rest = bare[:1], bare[1:]
    if first and first in _ALWAYS:
        return bool(rest.strip(_ALWAYS + _SIGNS))
    if not first or first not in _SIGNS:
        return False
    rest = rest.lstrip(_SIGNS + " ")
    if _NUMBER.fullmatch(rest):
        return False
    if rest[:1] and rest[0] in _ALWAYS:
        return True
    return bool(_CALLS.search(rest) or _ARITHMETIC.fullmatch(rest.rstrip()))


def guarded(name: str, table: pa.Table, also: Iterable[str] = ()) -> Guarded:
    """A table in which a quote stands before each cell of free text that would be run.

    A cell that looks like one with its quote gets another, so that `unguarded` gives back what
    there was.

    Args:
        name: The table's.
        table: Some of its rows.
        also: Further columns of free text.
    """
    cells = 0
    for column in (*_free_texts(name, table), *also):
        values = table[column].to_pylist()
        marks = [value is not None and would_run(value.lstrip("'")) for value in values]
        if any(marks):
            cells += sum(marks)
            quoted = [
                f"'{value}" if mark else value for value, mark in zip(values, marks, strict=True)
            ]
            table = _replaced(table, column, quoted)
    return Guarded(table, cells)


def unguarded(name: str, table: pa.Table) -> pa.Table:
    """The table that `guarded` was given.

    Args:
        name: The table's.
        table: Some rows and some columns of what came out.
    """
    for column in _free_texts(name, table):
        values = table[column].to_pylist()
        if any(value is not None and value.startswith("'") for value in values):
            table = _replaced(table, column, [_without_quote(value) for value in values])
    return table


def _without_quote(value: str | None) -> str | None:
    if value is not None and value.startswith("'") and would_run(value.lstrip("'")):
        return value[1:]
    return value


def _free_texts(name: str, table: pa.Table) -> list[str]:
    return [column for column in FREE_TEXT[name] if column in table.column_names]


def _replaced(table: pa.Table, column: str, values: list[str | None]) -> pa.Table:
    index = table.column_names.index(column)
    return table.set_column(index, table.schema.field(index), pa.array(values, pa.string()))
