"""`Review`: what a person thinks of one answer, label, entity or extracted value of a run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Any

import pyarrow as pa

from nlp_pipeline.tables.schemas import REVIEWS, SCHEMAS

ANSWERS, CATEGORIES, ENTITIES, EXTRACTION_FIELDS = TARGETS = (
    *("answers", "categories", "entities", "extraction_fields"),
)
ACCEPT, REJECT, CORRECT = VERDICTS = ("accept", "reject", "correct")

Key = tuple[Any, ...]


@dataclass(frozen=True)
class Review:
    """A row of the table `reviews`; its columns are described there.

    Before it is checked against a run, what the run knows may be missing.
    """

    document_id: str
    verdict: str
    target: str = ANSWERS
    component: str | None = None
    question_id: str | None = None
    field: str | None = None
    entity_id: int | None = None
    label: str | None = None
    answer: str | None = None
    text: str | None = None
    start_char: int | None = None
    end_char: int | None = None
    note: str | None = None
    reviewer: str | None = None
    reviewed_at: str | None = None
    text_digest: str | None = None

    @property
    def key(self) -> Key:
        """What it judges: the same for two reviews of one row."""
        if self.target == ANSWERS:
            return (self.target, self.document_id, self.component, self.question_id)
        if self.target == CATEGORIES:
            return (self.target, self.document_id, self.label)
        if self.target == EXTRACTION_FIELDS:
            return (self.target, self.document_id, self.component, self.field)
        if self.entity_id is None:  # one that the run lacks: there is only its place
            return (self.target, self.document_id, None, self.start_char, self.end_char, self.label)
        return (self.target, self.document_id, self.entity_id)

    @property
    def answer_is_right(self) -> str | None:
        """The right answer or value; None where the text holds none; no rejection has one."""
        return self.answer if self.verdict == ACCEPT else self.text


REVIEW_COLUMNS = tuple(column.name for column in fields(Review))


def reviews_of(table: pa.Table) -> list[Review]:
    """The rows of a table `reviews`."""
    return [Review(**row) for row in table.to_pylist()]


def table_of(reviews: Iterable[Review]) -> pa.Table:
    """Reviews as a table."""
    return pa.Table.from_pylist([asdict(review) for review in reviews], schema=SCHEMAS[REVIEWS])


def merged(reviews: Iterable[Review], new_reviews: Iterable[Review]) -> list[Review]:
    """All reviews, of each reviewer and row the one that was made last.

    Args:
        reviews: Those that there are.
        new_reviews: Those that are brought in; at the same time they win.
    """
    by_key: dict[Key, Review] = {}
    for review in (*reviews, *new_reviews):
        key = (review.reviewer, *review.key)
        if key not in by_key or (by_key[key].reviewed_at or "") <= (review.reviewed_at or ""):
            by_key[key] = review
    return list(by_key.values())


def latest_reviews(reviews: Iterable[Review]) -> dict[Key, Review]:
    """Of each row the review that was made last, whoever made it."""
    return {r.key: r for r in sorted(reviews, key=lambda review: review.reviewed_at or "")}
