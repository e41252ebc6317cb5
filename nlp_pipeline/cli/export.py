"""`nlp-pipeline export`: writes one file for each table of a run."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(short_help="Write each table of a run as one file.")
@click.argument("out", type=click.Path(path_type=Path))
@click.argument("target", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "format_",
    type=click.Choice(["parquet", "csv", "duckdb"]),
    default="parquet",
    show_default=True,
    help="duckdb writes one database file and needs the extra `duckdb`.",
)
@click.option("--table", "tables", multiple=True, help="Only this table. Repeatable.")
@click.option(
    "--raw", is_flag=True, help="No quote before texts in CSV that a spreadsheet would run."
)
def export(out: Path, target: Path, *, format_: str, tables: tuple[str, ...], raw: bool) -> None:
    """Write each table of the run in OUT as one file into the folder TARGET.

    For DuckDB, TARGET is the database file. In CSV a free text that a spreadsheet would run as a
    formula, such as =1+1, gets a quote in front; annotation and numbers stay as they are.

    \b
    Example:
      nlp-pipeline export runs/sample-en_qa_summary tables --format csv --table answers
    """  # noqa: D301  (click knows the character itself)
    from nlp_pipeline.cli.log_handlers import show_notes
    from nlp_pipeline.run_folder.export import ExportFormat, export_run

    show_notes()
    export_format: ExportFormat = format_  # type: ignore[assignment]
    for file in export_run(out, target, export_format, tables or None, raw=raw):
        click.echo(str(file))
