"""`nlp-pipeline review`: a person's corrections into a run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nlp_pipeline.cli.output import note, print_json
from nlp_pipeline.cli.watched_run import FAILED_DOCUMENTS
from nlp_pipeline.errors.base import counted

if TYPE_CHECKING:
    from nlp_pipeline.reviews.run_review import ReviewResult


@click.command(short_help="Bring a person's corrections into a run.")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--reviewer", help="Who judged, where FILE does not say.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def review(run: Path, file: Path, *, reviewer: str | None, as_json: bool) -> None:
    """Take the verdicts in FILE into the run in RUN, as its table reviews.

    FILE may also be what Label Studio, Prodigy or Argilla has exported of tasks that were exported
    from RUN (`nlp-pipeline export RUN TARGET --to label-studio`).

    `nlp-pipeline export RUN review.jsonl --to review` writes a FILE to fill in: in each line a
    verdict (accept, reject or correct) and, where that is correct, what is right. Lines without a
    verdict are left open. A line that does not fit the run is named, and the others are taken.

    \b
    Example:
      nlp-pipeline review runs/sample-en_qa_summary review.jsonl --reviewer ada
    """  # noqa: D301  (click knows the character itself)
    from nlp_pipeline.reviews import review_run

    result = review_run(run, file, reviewer=reviewer)
    if as_json:
        counts = {"taken": result.n_taken, "open": result.n_open, "reviews": result.n_reviews}
        print_json({**counts, "problems": list(result.problems)})
    else:
        _show(result)
    if result.problems:
        sys.exit(FAILED_DOCUMENTS)


def _show(result: ReviewResult) -> None:
    for problem in result.problems:
        note(problem)
    click.echo(
        f"{counted(result.n_taken, 'review')} taken, {result.n_open:,} left open, "
        f"{len(result.problems):,} not usable; the run has {result.n_reviews:,}."
    )
