"""`nlp-pipeline verify`: whether a run is still what was written."""

from __future__ import annotations

from pathlib import Path

import click

from nlp_pipeline.cli.output import note, print_json
from nlp_pipeline.errors.base import counted
from nlp_pipeline.errors.review import reviews_outdated
from nlp_pipeline.errors.run_folder import files_undigested


@click.command(short_help="Check every byte of a run against its receipts.")
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify(out: Path, *, as_json: bool) -> None:
    """Check every file of the run in the folder OUT: its bytes, its rows, its books.

    Reviews are read too, and counted. Nothing is changed. Of a run that is still going on the
    finished parts are checked. What is damaged is named, with the command that makes it anew; the
    exit code is then 1.

    \b
    Example:
      nlp-pipeline verify runs/sample-en_qa_summary
    """  # noqa: D301  (click knows the character itself)
    from nlp_pipeline.run_folder.verify import verify_run

    report = verify_run(out)
    report.raise_for_damage(out)
    if as_json:
        print_json(
            {
                "documents": report.documents,
                "parts": report.parts,
                "files": report.files,
                "undigested": report.undigested,
            }
        )
        return
    click.echo(
        f"All is whole: {counted(report.documents, 'document')} in "
        f"{counted(report.parts, 'part')}, {counted(report.files, 'file')}."
    )
    if report.reviews:
        click.echo(f"{counted(report.reviews, 'review')} can be read.")
    if report.outdated_reviews:
        note(reviews_outdated(report.outdated_reviews))
    if report.undigested:
        note(files_undigested(report.undigested))
