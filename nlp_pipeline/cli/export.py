"""`nlp-pipeline export`: a run's tables in the forms of other tools."""

from __future__ import annotations

from pathlib import Path

import click

from nlp_pipeline.cli.output import print_json
from nlp_pipeline.export.export_targets import TARGETS


@click.command(short_help="Write the tables of a run for other tools.")
@click.argument("out", type=click.Path(path_type=Path))
@click.argument("target", type=click.Path(path_type=Path))
@click.option(
    "--to",
    "--format",
    "to",
    type=click.Choice(list(TARGETS)),
    default="parquet",
    show_default=True,
    help="; ".join(f"{name}: {target.meaning}" for name, target in TARGETS.items()) + ".",
)
@click.option("--table", "tables", multiple=True, help="Only this table. Repeatable.")
@click.option(
    "--flatten-meta",
    is_flag=True,
    help="Each field of the documents' meta as a column of its own, such as meta.author.",
)
@click.option(
    "--reviewed",
    is_flag=True,
    help="Answers, labels, entities and values of objects as people have corrected them.",
)
@click.option(
    "--raw", is_flag=True, help="No quote before texts in CSV that a spreadsheet would run."
)
@click.option("--json", "as_json", is_flag=True, help="Print the files as JSON.")
def export(
    out: Path,
    target: Path,
    *,
    to: str,
    tables: tuple[str, ...],
    as_json: bool,
    **flags: bool,
) -> None:
    """Write the tables of the run in OUT to TARGET.

    TARGET is a folder that gets a file for each table, or the files of its form; for those that
    are one file it is the file.
    In CSV a free text that a spreadsheet would run as a formula, such as =1+1, gets a quote in
    front; annotation and numbers stay as they are.

    \b
    Example:
      nlp-pipeline export runs/sample-en_qa_summary tables --to csv --table answers
    """  # noqa: D301  (click knows the character itself)
    from nlp_pipeline.cli.log_handlers import show_notes
    from nlp_pipeline.export.job import export_run

    show_notes()
    files = [str(file) for file in export_run(out, target, to, tables or None, **flags)]
    if as_json:
        print_json({"files": files})
        return
    for file in files:
        click.echo(file)
