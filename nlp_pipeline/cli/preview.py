"""The first rows of what a run generated, on the terminal."""

from __future__ import annotations

import shlex
import shutil
from collections import Counter
from pathlib import Path

import click

from nlp_pipeline.errors.base import counted

COLUMNS = {
    "answers": ["document_id", "question", "answer", "status"],
    "summaries": ["document_id", "summary", "status"],
}


def show_preview(out: Path, rows: int) -> None:
    """Prints the first answers and the first summaries of a run."""
    import pandas as pd

    from nlp_pipeline.run_folder.read import read_run, row_counts

    counts = row_counts(out)
    for name, frame in read_run(out, COLUMNS, COLUMNS, first=rows).items():
        # Where all of them failed there is nothing to look at; the reasons are said below.
        if len(frame) and (frame["status"] != "error").any():
            rest = "" if len(frame) == counts[name] else f", the first {len(frame)}"
            click.echo(f"\n{name} ({counted(counts[name], 'row')}){rest}:")
            _print(frame.fillna(pd.NA).astype("string").fillna(""))


def show_failures(out: Path, kinds: int) -> None:
    """Prints on standard error how often what failed, one message each, and where the rest is."""
    from nlp_pipeline.errors.escapes import escaped
    from nlp_pipeline.run_folder.read import iter_rows

    first: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for row in iter_rows(out, "errors"):
        counts[row["type"]] += 1
        first.setdefault(row["type"], row["message"])
    click.echo("\nWhat failed:", err=True)
    for kind, count in counts.most_common(kinds):
        click.echo(escaped(f"  {count} × {kind}: {first[kind]}", limit=500), err=True)
    if len(counts) > kinds:
        click.echo(f"  and {len(counts) - kinds} other types", err=True)
    click.echo(f"All of it: nlp-pipeline errors {shlex.quote(str(out))}", err=True)


def _print(frame: object) -> None:
    """A table as wide as the terminal, control characters shown, markup not obeyed."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from nlp_pipeline.errors.escapes import escaped

    table = Table(box=SIMPLE, pad_edge=False)
    for column in frame.columns:  # type: ignore[attr-defined]
        table.add_column(column, overflow="fold")
    for row in frame.itertuples(index=False):  # type: ignore[attr-defined]
        table.add_row(*(Text(escaped(value, limit=240)) for value in row))
    width = shutil.get_terminal_size((110, 24)).columns
    Console(width=max(width, 20)).print(table)
