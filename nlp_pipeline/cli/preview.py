"""The first rows of what a run generated, on the terminal."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

COLUMNS = ["document_id", "question", "answer", "status"]


def show_preview(out: Path, rows: int) -> None:
    """Prints the first answers of a run, else its first summaries."""
    import pandas as pd

    from nlp_pipeline.runs.reading import read_run

    summaries = ["document_id", "summary", "status"]
    frames = read_run(out, ["answers", "summaries"], {"answers": COLUMNS, "summaries": summaries})
    for name, frame in frames.items():
        if len(frame):
            click.echo(f"\n{name} ({len(frame)} rows), the first {min(rows, len(frame))}:")
            _print(frame.head(rows).fillna(pd.NA).astype("string").fillna(""))


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
        table.add_row(*(Text(escaped(value)) for value in row))
    width = shutil.get_terminal_size((110, 24)).columns
    Console(width=max(width, 60)).print(table)
