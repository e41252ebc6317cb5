"""Answers and extracted values as people have corrected them, with all that belongs to them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from nlp_pipeline.export.text_places import TextPlaces
from nlp_pipeline.reviews.extracted_objects import with_values
from nlp_pipeline.reviews.review import ACCEPT, REJECT, Review

Row = dict[str, Any]

SPAN_LABEL = "ANSWER"
"""Of a span that is an answer, as `llama_qa` has it."""

_NO_CHANGE = object()


def corrected_answers(rows: list[Row], reviews: list[Review], places: TextPlaces) -> list[Row]:
    """Corrected answers hold what is right and where it stands; the model's figures are null."""

    def corrected(row: Row, review: Review) -> Row:
        right = _right_answer(review, row)
        if right is _NO_CHANGE:
            return row
        names = ("document_id", "question_id", "component", "question")
        new: Row = {name: row[name] for name in names}
        new |= {"answer": right, "status": "no_answer" if right is None else "ok"}
        if right is not None:
            place = places.place(review)
            new |= {"alignment": "none" if place is None else "exact", **(place or {})}
            new["alignment_score"] = None if place is None else 1.0
            new["evidence"] = places.sentence_ids(review)
        return new

    return _each_corrected(rows, reviews, "question_id", corrected)


def corrected_spans(rows: list[Row], reviews: list[Review], places: TextPlaces) -> list[Row]:
    """The spans of corrected answers stand where these do."""
    changes = _changed_answers(reviews, places)
    corrected = [row for row in rows if (row["component"], row["span_id"]) not in changes]
    for (component, question_id), review in changes.items():
        place = places.place(review) if review.verdict != REJECT else None
        if place is not None:
            corrected.append(
                {
                    "document_id": review.document_id,
                    "group": "answers",
                    "span_id": question_id,
                    "component": component,
                    "text": review.text,
                    "label": SPAN_LABEL,
                    **place,
                }
            )
    return corrected


def corrected_names(rows: list[Row], reviews: list[Review], places: TextPlaces) -> list[Row]:
    """The names in an answer that was corrected are not those of the right one."""
    changes = _changed_answers(reviews, places)
    return [row for row in rows if (row["component"], row["question_id"]) not in changes]


def corrected_values(rows: list[Row], reviews: list[Review], places: TextPlaces) -> list[Row]:
    """Corrected values of an object hold what is right and where it stands."""

    def corrected(row: Row, review: Review) -> Row:
        right = _right_value(review, row)
        if right is _NO_CHANGE:
            return row
        place = places.place(review) if right is not None else None
        new = {name: row[name] for name in ("document_id", "component", "field")}
        new |= {"value": right, "alignment": "none" if place is None else "exact"}
        return {**new, **(place or {})}

    return _each_corrected(rows, reviews, "field", corrected)


def _each_corrected(
    rows: list[Row], reviews: list[Review], key: str, corrected: Callable[[Row, Review], Row]
) -> list[Row]:
    """The rows; of each that was reviewed, by component and key, what `corrected` makes of it."""
    by_name = {(review.component, getattr(review, key)): review for review in reviews}
    judged = ((row, by_name.get((row["component"], row[key]))) for row in rows)
    return [row if review is None else corrected(row, review) for row, review in judged]


def corrected_objects(rows: list[Row], reviews: list[Review], places: TextPlaces) -> list[Row]:
    """Objects hold their corrected values; the model's figures of such an object are null."""
    document_id = reviews[0].document_id
    fields = corrected_values(places.values(document_id), reviews, places)
    changes: dict[str, dict[str, str | None]] = defaultdict(dict)
    for field, before in zip(fields, places.values(document_id), strict=True):
        if field is not before:
            changes[field["component"]][field["field"]] = field["value"]
    corrected: list[Row] = []
    for row in rows:
        if row["component"] not in changes or row["extraction"] is None:
            corrected.append(row)
            continue
        value = with_values(row["extraction"], changes[row["component"]])
        is_filled = any(f["value"] for f in fields if f["component"] == row["component"])
        new = {name: row[name] for name in ("document_id", "component")}
        new["extraction"] = json.dumps(value, ensure_ascii=False)
        corrected.append({**new, "status": "ok" if is_filled else "no_answer"})
    return corrected


def _changed_answers(
    reviews: list[Review], places: TextPlaces
) -> dict[tuple[str | None, str | None], Review]:
    return {
        (review.component, review.question_id): review
        for review in reviews
        if (row := places.answer(review)) is not None
        and _right_answer(review, row) is not _NO_CHANGE
    }


def _right_answer(review: Review, row: Mapping[str, Any]) -> Any:
    """What an answer should be instead; `_NO_CHANGE` where it may stay."""
    return _right_text(review, row, row["answer"], has_failed=row["status"] == "error")


def _right_value(review: Review, row: Mapping[str, Any]) -> Any:
    """What a value of an object should be instead; `_NO_CHANGE` where it may stay."""
    return _right_text(review, row, row["value"])


def _right_text(
    review: Review, row: Mapping[str, Any], text: str | None, *, has_failed: bool = False
) -> Any:
    if review.verdict == REJECT:
        # One that was rejected, and that is not what the run says by now, is no reason to change.
        is_same = text == review.answer and not has_failed
        return None if is_same and text is not None else _NO_CHANGE
    right = review.answer_is_right
    is_same = text == right and not has_failed
    if is_same and (review.verdict == ACCEPT or row["start_char"] == review.start_char):
        return _NO_CHANGE
    return right
