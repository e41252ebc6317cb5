"""Holds a review against the rows that it judges, and fills in what the run knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from nlp_pipeline.errors.review import (
    ReviewUnusable,
    failed_answer,
    other_text,
    right_value_missing,
    several_components,
    span_outside,
    text_changed,
    unknown_row,
)
from nlp_pipeline.reviews.review import ACCEPT, ANSWERS, CATEGORIES, CORRECT, REJECT, Review
from nlp_pipeline.run_folder.review_table import text_digest

Row = Mapping[str, Any]

COLUMNS: dict[str, tuple[str, ...]] = {
    "documents": ("document_id", "text"),
    "answers": (
        *("document_id", "question_id", "component", "question", "answer", "status"),
        *("start_char", "end_char"),
    ),
    "categories": ("document_id", "label", "score"),
    "entities": ("document_id", "entity_id", "text", "label", "start_char", "end_char"),
}
"""What of a run's tables a review is held against."""


@dataclass
class ReviewedDocument:
    """A document whose rows are judged.

    Attributes:
        text: Its text.
        rows: Its rows of the tables that can be judged.
    """

    text: str
    rows: dict[str, list[Row]] = field(default_factory=dict)
    _digest: str = ""

    @property
    def digest(self) -> str:
        """Of the text."""
        self._digest = self._digest or text_digest(self.text)
        return self._digest


def checked(review: Review, document: ReviewedDocument) -> Review:
    """The review with all that the run knows of what it judges.

    Raises:
        ReviewUnusable: It is of another text, of a row that there is not, or makes no sense.
    """
    if review.text_digest not in (None, document.digest):
        raise ReviewUnusable(text_changed(review.document_id))
    review = replace(review, text_digest=document.digest)
    if review.target == ANSWERS:
        return _answer(review, document)
    if review.target == CATEGORIES:
        return _category(review, document)
    return _entity(review, document)


def _answer(review: Review, document: ReviewedDocument) -> Review:
    rows = document.rows.get(ANSWERS, [])
    matches = [
        row
        for row in rows
        if row["question_id"] == review.question_id and review.component in (None, row["component"])
    ]
    if not matches:
        name = (review.component, review.question_id) if review.component else review.question_id
        choices = [row["question_id"] for row in rows]
        raise ReviewUnusable(unknown_row(review.document_id, "question", name, choices))
    if len(matches) > 1:
        components = [row["component"] for row in matches]
        raise ReviewUnusable(several_components(str(review.question_id), components))
    (row,) = matches
    if row["status"] == "error" and review.verdict != CORRECT and review.answer is None:
        raise ReviewUnusable(failed_answer(review.document_id, row["question_id"]))
    # What was judged may be older than the run's answer: then it stays what was judged.
    judged = row["answer"] if review.answer is None else review.answer
    review = replace(review, component=row["component"], answer=judged, label=None, entity_id=None)
    if review.verdict == ACCEPT:
        place = (row["start_char"], row["end_char"]) if row["answer"] == judged else (None, None)
        return replace(review, text=judged, start_char=place[0], end_char=place[1])
    if review.verdict == REJECT:
        return replace(review, text=None, start_char=None, end_char=None)
    return _in_place(review, document.text)


def _category(review: Review, document: ReviewedDocument) -> Review:
    labels = [row["label"] for row in document.rows.get(CATEGORIES, [])]
    if review.label not in labels:
        raise ReviewUnusable(unknown_row(review.document_id, "label", review.label, labels))
    if review.verdict == CORRECT and review.text is None:
        raise ReviewUnusable(right_value_missing("'text': the right label"))
    text = {ACCEPT: review.label, REJECT: None, CORRECT: review.text}[review.verdict]
    review = replace(review, component=None, question_id=None, entity_id=None, answer=review.label)
    return replace(review, text=text, start_char=None, end_char=None)


def _entity(review: Review, document: ReviewedDocument) -> Review:
    review = replace(review, component=None, question_id=None)
    if review.entity_id is None:  # one that the run lacks
        if review.verdict == REJECT or review.start_char is None or review.label is None:
            fields = "'start_char', 'end_char' and 'label' of an entity that the run lacks"
            raise ReviewUnusable(right_value_missing(f"{fields}, or an 'entity_id'"))
        return _in_place(replace(review, verdict=CORRECT, answer=None), document.text)
    rows: Sequence[Row] = document.rows.get(review.target, [])
    row = next((row for row in rows if row["entity_id"] == review.entity_id), None)
    if row is None:
        ids = [row["entity_id"] for row in rows]
        raise ReviewUnusable(unknown_row(review.document_id, "entity", review.entity_id, ids))
    review = replace(review, answer=row["text"])
    if review.verdict == CORRECT and (review.start_char is not None or review.label is not None):
        if review.start_char is None:
            place = {"start_char": row["start_char"], "end_char": row["end_char"]}
            review = replace(review, **place, text=None)
        return _in_place(replace(review, label=review.label or row["label"]), document.text)
    if review.verdict == CORRECT:
        raise ReviewUnusable(right_value_missing("another 'label', or a span of the text"))
    text = row["text"] if review.verdict == ACCEPT else None
    return replace(
        review,
        text=text,
        label=row["label"],
        start_char=row["start_char"],
        end_char=row["end_char"],
    )


def _in_place(review: Review, text: str) -> Review:
    """A correction with its text and its place, where it has one."""
    start, end = review.start_char, review.end_char
    if start is not None and end is not None:
        if not 0 <= start < end <= len(text):
            raise ReviewUnusable(span_outside(start, end, len(text)))
        piece = text[start:end]
        if review.text not in (None, piece):
            raise ReviewUnusable(other_text(str(review.text), piece))
        return replace(review, text=piece)
    if review.text is not None and text.count(review.text) == 1:
        start = text.index(review.text)
        return replace(review, start_char=start, end_char=start + len(review.text))
    return review
