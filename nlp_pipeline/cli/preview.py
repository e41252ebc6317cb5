"""The first rows of what a run generated, on the terminal."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

COLUMNS = {
    "answers": ["document_id", "question", "answer", "status"],
    "summaries": ["document_id", "summary", "status"],
}


def show_preview(out: Path, rows: int) -> None:
    """Prints the first answers and the first summaries of a run."""
    import pandas as pd

    from nlp_pipeline.runs.reading import read_run, row_counts

    counts = row_counts(out)
    for name, frame in read_run(out, COLUMNS, COLUMNS, first=rows).items():
        if len(frame):
            click.echo(f"\n{name} ({counts[name]} rows), the first {len(frame)}:")
            _print(frame.fillna(pd.NA).astype("string").fillna(""))


def _print(frame: object) -> None:
    """A table as wide as the terminal, control characters shown, markup not obeyed."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from nlp_pipeline.errors.escaping import escaped

    table = Table(box=SIMPLE, pad_edge=False)
    for column in frame.columns:  # type: ignore[attr-defined]
        table.add_column(column, overflow="fold")
    for row in frame.itertuples(index=False):  # type: ignore[attr-defined]
        table.add_row(*(Text(escaped(value, limit=240)) for value in row))
    width = shutil.get_terminal_size((110, 24)).columns
    Console(width=max(width, 60)).print(table)
