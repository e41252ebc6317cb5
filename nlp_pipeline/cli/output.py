"""Printing: results to standard output, everything else to standard error."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import Any, TextIO

import click

from nlp_pipeline.errors.escapes import escaped


def print_json(value: Any) -> None:
    """Prints a result as JSON, indented, to standard output."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def coloured(stream: TextIO) -> bool:
    """Whether colours may go there: it is a terminal, and `NO_COLOR` is not set.

    `NO_COLOR` is a convention of many programs (no-color.org): any value but an empty one counts.
    """
    return stream.isatty() and not os.environ.get("NO_COLOR")


def note(message: str) -> None:
    """Prints a remark to standard error."""
    click.echo(message, err=True)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], title: str = "") -> None:
    """Prints a table to standard output: with rules on a terminal, else plain and aligned.

    Args:
        columns: The headings.
        rows: One value per column; None is shown as `-`.
        title: A line above the table.
    """
    cells = [["-" if v is None else escaped(v, limit=500) for v in row] for row in rows]
    if sys.stdout.isatty():
        _print_rich(columns, cells, title)
        return
    if title:
        click.echo(title)
    lines = [[name.upper() for name in columns], *cells]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        click.echo("  ".join(padded).rstrip())


def _print_rich(columns: Sequence[str], cells: list[list[str]], title: str) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title or None, title_justify="left")
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in cells:
        table.add_row(*map(Text, row))  # Text: what stands in a cell is never read as markup
    Console().print(table)


def size(n_bytes: int) -> str:
    """`92871040` → `"93 MB"`; in powers of 1000, as disks and networks count."""
    if n_bytes < 1000:
        return f"{n_bytes} bytes"
    value, units = float(n_bytes), iter(("kB", "MB", "GB", "TB"))
    while value >= 1000 and (unit := next(units, None)):
        value, name = value / 1000, unit
    return f"{value:.0f} {name}" if value >= 10 else f"{value:.1f} {name}"
