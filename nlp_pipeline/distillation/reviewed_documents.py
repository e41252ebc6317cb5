"""What people have judged of a run, in place of the teacher's word: it is trained on first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from nlp_pipeline.distillation.teacher import Teacher
from nlp_pipeline.distillation.teacher_document import NOT_IN_TEXT, TeacherDocument, TextSpan
from nlp_pipeline.distillation.teacher_rows import top_property
from nlp_pipeline.reviews.review import (
    ANSWERS,
    CATEGORIES,
    ENTITIES,
    EXTRACTION_FIELDS,
    REJECT,
    Review,
)
from nlp_pipeline.reviews.run_reviews import run_reviews
from nlp_pipeline.run_folder.read import iter_rows
from nlp_pipeline.run_folder.review_table import text_digest

REJECTED = "rejected by a reviewer"

_TARGETS = {
    "classifications": CATEGORIES,
    "answers": ANSWERS,
    "entities": ENTITIES,
    "extractions": EXTRACTION_FIELDS,
}


def take_reviews(run: Path, teacher: Teacher) -> int:
    """Puts what people say into the documents to train on.

    A review of a text that has changed, or of another component, is left out. What was rejected
    without saying what is right keeps its document from training. `Teacher.values` stay: they are
    what the teacher says, and is scored by.

    Args:
        run: The run's folder.
        teacher: Its documents are changed.

    Returns:
        How many documents have reviews that count.
    """
    by_document: dict[str, list[Review]] = defaultdict(list)
    for review in run_reviews(run):
        is_teacher = review.component in (None, teacher.component)
        if review.target == _TARGETS.get(teacher.source) and is_teacher:
            by_document[review.document_id].append(review)
    values = _extracted_values(run, teacher, by_document)
    n_reviewed = 0
    for document in teacher.documents if by_document else ():
        digest = text_digest(document.text)
        reviews = [r for r in by_document.get(document.id, ()) if r.text_digest == digest]
        if not reviews:
            continue
        n_reviewed += 1
        document.is_reviewed = True
        if teacher.source == "classifications":
            _take_labels(document, reviews, is_multi_label=teacher.is_multi_label)
        elif teacher.source == "answers":
            _take_answers(document, reviews, teacher.labels)
        elif teacher.source == "extractions":
            _take_values(document, reviews, values[document.id])
        else:
            _take_entities(document, reviews)
    return n_reviewed


def _take_labels(
    document: TeacherDocument, reviews: Sequence[Review], *, is_multi_label: bool
) -> None:
    right = [str(review.text) for review in reviews if review.text is not None]
    wrong = {review.label for review in reviews if review.text != review.label}
    if is_multi_label:
        labels = [label for label in document.labels if label not in wrong]
        document.labels = tuple(dict.fromkeys([*right, *labels]))
        document.problem = None
    else:
        is_kept = bool(document.labels) and document.labels[0] not in wrong
        document.labels = tuple(right[:1]) or (document.labels if is_kept else ())
        document.problem = None if right or is_kept else REJECTED


def _take_answers(
    document: TeacherDocument, reviews: Sequence[Review], question_ids: Sequence[str]
) -> None:
    for review in reviews:
        label = str(review.question_id)
        document.spans = [span for span in document.spans if span.label != label]
        if review.verdict == REJECT:
            document.problem = REJECTED
        elif review.answer_is_right is not None and review.start_char is not None:
            assert review.end_char is not None
            document.spans.append(TextSpan(review.start_char, review.end_char, label))
    reviewed_ids = {review.question_id for review in reviews}
    if document.problem != REJECTED and reviewed_ids >= set(question_ids):
        document.problem = None  # what the teacher was not sure of a person has said


def _take_entities(document: TeacherDocument, reviews: Sequence[Review]) -> None:
    for review in reviews:
        start, end = review.start_char, review.end_char
        if start is None or end is None:
            continue
        document.spans = [s for s in document.spans if s.end <= start or s.start >= end]
        if review.verdict != REJECT:
            document.spans.append(TextSpan(start, end, str(review.label)))


def _extracted_values(
    run: Path, teacher: Teacher, document_ids: Collection[str]
) -> dict[str, list[Mapping[str, Any]]]:
    """The rows of the values that an extractor has found in some documents."""
    rows: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    if teacher.source == "extractions" and document_ids:
        for row in iter_rows(run, "extraction_fields"):
            if row["component"] == teacher.component and row["document_id"] in document_ids:
                rows[row["document_id"]].append(row)
    return rows


def _take_values(
    document: TeacherDocument, reviews: Sequence[Review], rows: Sequence[Mapping[str, Any]]
) -> None:
    """The spans of the reviewed values anew: a property may have several, all under its name."""
    by_field = {review.field: review for review in reviews}
    labels = {top_property(str(name)) for name in by_field}
    document.spans = [span for span in document.spans if span.label not in labels]
    problem = None
    for row in rows:
        label, review = top_property(row["field"]), by_field.get(row["field"])
        place, value = (row["start_char"], row["end_char"]), row["value"]
        if review is not None and review.verdict == REJECT:
            problem = REJECTED
            continue
        if review is not None:
            place, value = (review.start_char, review.end_char), review.answer_is_right
        if not value or label not in labels:
            continue
        if place[0] is None or place[1] is None:
            problem = problem or NOT_IN_TEXT
        else:
            document.spans.append(TextSpan(*place, label))
    is_whole = all(row["field"] in by_field for row in rows if row["value"])
    if is_whole or problem is not None:
        document.problem = problem  # what the teacher was not sure of a person has said
