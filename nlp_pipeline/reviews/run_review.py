"""`review_run`: brings the reviews of a file into a run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TypeVar

from nlp_pipeline.errors.review import (
    NoReviewFits,
    ReviewUnusable,
    review_problem,
    unknown_document,
)
from nlp_pipeline.reviews.marked_document import MarkedDocument
from nlp_pipeline.reviews.review import TARGETS, Review, merged, reviews_of, table_of
from nlp_pipeline.reviews.review_file import ReviewLine, read_review_file
from nlp_pipeline.reviews.row_check import COLUMNS, ReviewedDocument, checked
from nlp_pipeline.run_folder.files import Format
from nlp_pipeline.run_folder.lock import locked
from nlp_pipeline.run_folder.read import parts_of, run_manifest
from nlp_pipeline.run_folder.review_table import read_reviews, write_reviews

T = TypeVar("T")


@dataclass(frozen=True)
class ReviewResult:
    """What became of a file of reviews.

    Attributes:
        n_taken: Reviews that the run has now.
        n_open: Lines without a verdict, tasks that nobody has done.
        n_reviews: Reviews of the run in all, those of other files included.
        problems: Why each of the others was not taken.
    """

    n_taken: int
    n_open: int
    n_reviews: int
    problems: tuple[str, ...] = ()


def review_run(run: str | Path, file: str | Path, *, reviewer: str | None = None) -> ReviewResult:
    """Brings a person's verdicts into a run, as its table `reviews`.

    A review that does not fit is passed over and said; the others are taken. One that the same
    person has made before of the same row is replaced, unless it is the later one. No other table
    is changed; `--fresh` leaves reviews as they are.

    Args:
        run: The run's folder.
        file: A `review.jsonl`; or what Label Studio, Prodigy or Argilla has exported of tasks
            that were exported from this run.
        reviewer: Who judged, where the file does not say.

    Raises:
        RunNotFound: There is no run.
        RunLocked: The run is going on.
        ReviewFileUnreadable: The file is no review.
        NoReviewFits: No line of it is about this run, or all are about texts that have changed.
    """
    folder = Path(run)
    format_: Format = run_manifest(folder)["format"]
    lines = list(read_review_file(Path(file)))
    with locked(folder):
        reviews, problems = _checked_lines(folder, lines)
        n_open = sum(line.content is None and line.problem is None for line in lines)
        if problems and not reviews:
            raise NoReviewFits(str(file), str(run), problems)
        moment = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        new_reviews = [
            replace(r, reviewer=r.reviewer or reviewer, reviewed_at=r.reviewed_at or moment)
            for r in reviews
        ]
        all_reviews = merged(reviews_of(read_reviews(folder, format_)), new_reviews)
        if new_reviews:
            write_reviews(folder, table_of(all_reviews), format_)
    return ReviewResult(len(new_reviews), n_open, len(all_reviews), problems=tuple(problems))


def _checked_lines(run: Path, lines: Iterable[ReviewLine]) -> tuple[list[Review], list[str]]:
    """The reviews that fit the run, in the order of the file, and why the others do not."""
    by_document: dict[str, list[tuple[int, ReviewLine]]] = defaultdict(list)
    reviews: dict[int, list[Review]] = {}
    problems: dict[int, list[str]] = {}
    for number, line in enumerate(lines):
        if line.problem is not None:
            problems[number] = [review_problem(line.place, line.problem)]
        elif line.content is not None:
            by_document[line.content.document_id].append((number, line))
    for document_id, document in _documents(run, by_document):
        for number, line in by_document.pop(document_id):
            reviews[number], problems[number] = _checked_line(line, document)
    for document_id, strangers in by_document.items():
        for number, line in strangers:
            problems[number] = [review_problem(line.place, unknown_document(document_id))]
    return _in_order(reviews), _in_order(problems)


def _checked_line(line: ReviewLine, document: ReviewedDocument) -> tuple[list[Review], list[str]]:
    """The reviews of a line that fit a document, and why the others do not."""
    reviews: list[Review] = []
    problems: list[str] = []
    try:
        contents = [line.content]
        if isinstance(line.content, MarkedDocument):
            contents = list(line.content.reviews(document))
    except ReviewUnusable as error:
        return [], [review_problem(line.place, str(error))]
    for review in contents:
        try:
            if isinstance(review, Review):
                reviews.append(checked(review, document))
        except ReviewUnusable as error:
            problems.append(review_problem(line.place, str(error)))
    return reviews, problems


def _in_order(values: Mapping[int, list[T]]) -> list[T]:
    return [value for number in sorted(values) for value in values[number]]


def _documents(run: Path, document_ids: Iterable[str]) -> Iterable[tuple[str, ReviewedDocument]]:
    """Those of some documents that the run has, with the rows that can be judged."""
    names = set(document_ids)
    for part in parts_of(run, COLUMNS) if names else ():
        texts = part["documents"].to_pydict()
        documents = {
            name: ReviewedDocument(text)
            for name, text in zip(texts["document_id"], texts["text"], strict=True)
            if name in names and text is not None
        }
        if not documents:
            continue
        for table in TARGETS:
            for row in part[table].to_pylist():
                if row["document_id"] in documents:
                    documents[row["document_id"]].rows.setdefault(table, []).append(row)
        yield from documents.items()
