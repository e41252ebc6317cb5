"""`run_reviews`: what people think of the rows of a run, for whoever uses it."""

from __future__ import annotations

from pathlib import Path

from nlp_pipeline.reviews.review import Review, latest_reviews, reviews_of
from nlp_pipeline.run_folder.files import Format
from nlp_pipeline.run_folder.read import run_manifest
from nlp_pipeline.run_folder.review_table import read_reviews


def run_reviews(run: Path) -> list[Review]:
    """The reviews of a run, of each row the one that was made last.

    Raises:
        RunNotFound: There is no run.
    """
    format_: Format = run_manifest(run)["format"]
    return list(latest_reviews(reviews_of(read_reviews(run, format_))).values())
