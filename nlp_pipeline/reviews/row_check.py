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
from nlp_pipeline.reviews.review import (
    ACCEPT,
    ANSWERS,
    CATEGORIES,
    CORRECT,
    EXTRACTION_FIELDS,
    REJECT,
    Review,
)
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
    "extraction_fields": (
        *("document_id", "component", "field", "value", "start_char", "end_char"),
    ),
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
    if review.target == EXTRACTION_FIELDS:
        return _extracted_value(review, document)
    if review.target == CATEGORIES:
        return _category(review, document)
    return _entity(review, document)


def _answer(review: Review, document: ReviewedDocument) -> Review:
    row = _only_row(review, document.rows.get(ANSWERS, []), "question_id", "question")
    if row["status"] == "error" and review.verdict != CORRECT and review.answer is None:
        raise ReviewUnusable(failed_answer(review.document_id, row["question_id"]))
    return _generated(replace(review, field=None), row, row["answer"], document.text)


def _extracted_value(review: Review, document: ReviewedDocument) -> Review:
    row = _only_row(review, document.rows.get(EXTRACTION_FIELDS, []), "field", "field")
    return _generated(replace(review, question_id=None), row, row["value"], document.text)


def _only_row(review: Review, rows: Sequence[Row], column: str, kind: str) -> Row:
    """The row that a review names by its component, where it says one, and a column."""
    name = getattr(review, column)
    matches = [
        row for row in rows if row[column] == name and review.component in (None, row["component"])
    ]
    if not matches:
        full_name = (review.component, name) if review.component else name
        choices = [row[column] for row in rows]
        raise ReviewUnusable(unknown_row(review.document_id, kind, full_name, choices))
    if len(matches) > 1:
        components = [row["component"] for row in matches]
        raise ReviewUnusable(several_components(str(name), components))
    return matches[0]


def _generated(review: Review, row: Row, value: str | None, text: str) -> Review:
    """The review of a text that a component has generated, or of none.

    Args:
        review: As it was made.
        row: What it judges.
        value: What the row says now.
        text: The document's.
    """
    # What was judged may be older than the run's row: then it stays what was judged.
    judged = value if review.answer is None else review.answer
    review = replace(review, component=row["component"], answer=judged, label=None, entity_id=None)
    if review.verdict == ACCEPT:
        place = (row["start_char"], row["end_char"]) if value == judged else (None, None)
        return replace(review, text=judged, start_char=place[0], end_char=place[1])
    if review.verdict == REJECT:
        return replace(review, text=None, start_char=None, end_char=None)
    return _in_place(review, text)


def _category(review: Review, document: ReviewedDocument) -> Review:
    labels = [row["label"] for row in document.rows.get(CATEGORIES, [])]
    if review.label not in labels:
        raise ReviewUnusable(unknown_row(review.document_id, "label", review.label, labels))
    if review.verdict == CORRECT and review.text is None:
        raise ReviewUnusable(right_value_missing("'text': the right label"))
    text = {ACCEPT: review.label, REJECT: None, CORRECT: review.text}[review.verdict]
    review = replace(review, component=None, question_id=None, field=None, entity_id=None)
    review = replace(review, answer=review.label)
    return replace(review, text=text, start_char=None, end_char=None)


def _entity(review: Review, document: ReviewedDocument) -> Review:
    review = replace(review, component=None, question_id=None, field=None)
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
