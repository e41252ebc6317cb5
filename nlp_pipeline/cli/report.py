"""`nlp-pipeline report`: a run as one HTML page."""

from __future__ import annotations

from pathlib import Path

import click

from nlp_pipeline.cli.output import print_json


@click.command(short_help="Write a run as one HTML page.")
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--file",
    "-f",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to write the page.  [default: OUT/report.html]",
)
@click.option("--title", help="Heading of the page.  [default: the folder's name]")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first so many documents.")
@click.option(
    "--against",
    metavar="RUN",
    type=click.Path(path_type=Path),
    help="Another run over the same texts: the review begins where it says something else.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def report(
    out: Path,
    *,
    file: Path | None,
    title: str | None,
    limit: int | None,
    against: Path | None,
    as_json: bool,
) -> None:
    """Write the run in the folder OUT as one HTML page to look through.

    It needs no network and no server: open it in a browser. Of a run that is still going on it
    shows the finished parts.

    \b
    Example:
      nlp-pipeline report runs/sample-en_qa_summary --title "Harbour news"
    """  # noqa: D301  (click knows the character itself)
    from nlp_pipeline.report import write_report

    page = str(write_report(out, file, title=title, limit=limit, against=against))
    if as_json:
        print_json({"file": page})
    else:
        click.echo(page)
