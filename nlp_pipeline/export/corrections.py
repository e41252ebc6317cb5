"""The rows of a run as people have corrected them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from nlp_pipeline.errors.review import NoReviews
from nlp_pipeline.export.text_places import TextPlaces
from nlp_pipeline.reviews.review import ACCEPT, ANSWERS, CATEGORIES, ENTITIES, REJECT, Review
from nlp_pipeline.reviews.run_reviews import run_reviews
from nlp_pipeline.run_folder.review_table import text_digest

Row = dict[str, Any]
ReadTable = Callable[[list[str]], pa.Table]
"""Reads some columns of a table of the same part."""

SPAN_LABEL = "ANSWER"
"""Of a span that is an answer, as `llama_qa` has it."""

NEIGHBOURS = ("documents", "tokens", "sentences", "answers")
"""The tables that a correction is placed by."""


class Corrections:
    """What the reviews of a run change in its tables.

    Args:
        reviews: Of each row the one that counts.
    """

    def __init__(self, reviews: Iterable[Review]) -> None:
        self._by_document: dict[str, list[Review]] = defaultdict(list)
        for review in reviews:
            self._by_document[review.document_id].append(review)

    @classmethod
    def of_run(cls, run: Path) -> Corrections:
        """Those of a run.

        Raises:
            NoReviews: It has none.
        """
        reviews = run_reviews(run)
        if not reviews:
            raise NoReviews(str(run))
        return cls(reviews)

    def corrected(self, table: str, part: pa.Table, near: Mapping[str, ReadTable]) -> pa.Table:
        """A part of a table with every row as people have corrected it.

        A review of a text that has changed since changes nothing.

        Args:
            table: A name of `CORRECTED`.
            part: All columns of the part.
            near: Reads the `NEIGHBOURS` of the same part.
        """
        texts = near["documents"](["document_id", "text"]).to_pydict()
        reviews: dict[str, list[Review]] = {}
        for document_id, text in zip(texts["document_id"], texts["text"], strict=True):
            digest = text_digest(text or "") if document_id in self._by_document else ""
            fitting = [r for r in self._by_document.get(document_id, ()) if r.text_digest == digest]
            if fitting:
                reviews[document_id] = fitting
        if not reviews:
            return part
        by_document: dict[str, list[Row]] = {name: [] for name in texts["document_id"]}
        for row in part.to_pylist():
            by_document[row["document_id"]].append(row)
        places = TextPlaces(near, reviews)
        for document_id, own in reviews.items():
            rows = by_document[document_id]
            by_document[document_id] = CORRECTED[table](rows, own, places)
        rows = [row for rows in by_document.values() for row in rows]
        return pa.Table.from_pylist(rows, schema=part.schema)


_NO_CHANGE = object()


def _right_answer(review: Review, row: Mapping[str, Any]) -> Any:
    """What an answer should be instead; `_NO_CHANGE` where it may stay."""
    if review.verdict == REJECT:
        # One that was rejected, and that is not what the run says by now, is no reason to change.
        is_same = row["answer"] == review.answer and row["status"] != "error"
        return None if is_same and row["answer"] is not None else _NO_CHANGE
    right = review.answer_is_right
    is_same = row["answer"] == right and row["status"] != "error"
    if is_same and (review.verdict == ACCEPT or row["start_char"] == review.start_char):
        return _NO_CHANGE
    return right


def _answers(rows: list[Row], reviews: list[Review], places: TextPlaces) -> list[Row]:
    """Corrected answers hold what is right and where it stands; the model's figures are null."""
    by_key = {review.key: review for review in reviews}
    corrected: list[Row] = []
    for row in rows:
        review = by_key.get((ANSWERS, row["document_id"], row["component"], row["question_id"]))
        right = _NO_CHANGE if review is None else _right_answer(review, row)
        if review is None or right is _NO_CHANGE:
            corrected.append(row)
            continue
        names = ("document_id", "question_id", "component", "question")
        new: Row = {name: row[name] for name in names}
        new |= {"answer": right, "status": "no_answer" if right is None else "ok"}
        if right is not None:
            place = places.place(review)
            new |= {"grounded": "none" if place is None else "exact", **(place or {})}
            new["alignment_score"] = None if place is None else 1.0
            new["evidence"] = places.sentence_ids(review)
        corrected.append(new)
    return corrected


def _answer_spans(rows: list[Row], reviews: list[Review], places: TextPlaces) -> list[Row]:
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


def _answer_entities(rows: list[Row], reviews: list[Review], places: TextPlaces) -> list[Row]:
    """The names in an answer that was corrected are not those of the right one."""
    changes = _changed_answers(reviews, places)
    return [row for row in rows if (row["component"], row["question_id"]) not in changes]


def _changed_answers(
    reviews: list[Review], places: TextPlaces
) -> dict[tuple[str | None, str | None], Review]:
    return {
        (review.component, review.question_id): review
        for review in reviews
        if review.target == ANSWERS
        and (row := places.answer(review)) is not None
        and _right_answer(review, row) is not _NO_CHANGE
    }


def _categories(rows: list[Row], reviews: list[Review], places: TextPlaces) -> list[Row]:
    """A label that is right has the score 1, one that is not has 0."""
    scores: dict[str, float] = {}
    for review in reviews:
        if review.target == CATEGORIES:
            scores.setdefault(str(review.label), 0.0)
            if review.text is not None:
                scores[review.text] = 1.0
    corrected = [{**row, "score": scores.pop(row["label"], row["score"])} for row in rows]
    document_id = reviews[0].document_id
    return corrected + [
        {"document_id": document_id, "label": label, "score": score}
        for label, score in scores.items()
    ]


def _entities(rows: list[Row], reviews: list[Review], places: TextPlaces) -> list[Row]:
    """Those that are right, in the order of the text; a person's push aside what they overlap."""
    judged = [review for review in reviews if review.target == ENTITIES]
    by_id = {r.entity_id: r for r in judged if r.entity_id is not None}
    next_id = max((row["entity_id"] for row in rows), default=-1) + 1
    right: list[Row] = []
    unjudged: list[Row] = []
    for row in rows:
        review = by_id.get(row["entity_id"])
        # A run that goes on may have numbered its entities anew.
        if review is None or review.answer != row["text"]:
            unjudged.append(row)
        elif review.verdict == ACCEPT:
            right.append(row)
        elif review.verdict != REJECT:
            right.append({**row, **_entity(review, places), "kb_id": None})
    for review in (review for review in judged if review.entity_id is None):
        right.append({"entity_id": next_id, **_entity(review, places)})
        next_id += 1
    free = [row for row in unjudged if not any(_overlap(row, entity) for entity in right)]
    return sorted(right + free, key=lambda row: (row["start_char"], row["end_char"]))


def _entity(review: Review, places: TextPlaces) -> Row:
    sentence_ids = places.sentence_ids(review)
    return {
        "document_id": review.document_id,
        "sentence_id": sentence_ids[0] if sentence_ids else None,
        "text": review.text,
        "label": review.label,
        **(places.place(review) or {}),
    }


def _overlap(row: Row, entity: Row) -> bool:
    return bool(row["start_char"] < entity["end_char"] and entity["start_char"] < row["end_char"])


CORRECTED: dict[str, Callable[[list[Row], list[Review], TextPlaces], list[Row]]] = {
    "entities": _entities,
    "spans": _answer_spans,
    "categories": _categories,
    "answers": _answers,
    "answer_entities": _answer_entities,
}
"""The tables that reviews change, each with what they make of the rows of a document."""
