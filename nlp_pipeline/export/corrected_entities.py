"""Entities and labels as people have corrected them, and the columns that tell of entities."""

from __future__ import annotations

from typing import Any

from nlp_pipeline.export.text_places import TextPlaces
from nlp_pipeline.reviews.review import ACCEPT, REJECT, Review

Row = dict[str, Any]


def corrected_categories(rows: list[Row], reviews: list[Review], places: TextPlaces) -> list[Row]:
    """A label that is right has the score 1, one that is not has 0."""
    scores: dict[str, float] = {}
    for review in reviews:
        scores.setdefault(str(review.label), 0.0)
        if review.text is not None:
            scores[review.text] = 1.0
    corrected = [{**row, "score": scores.pop(row["label"], row["score"])} for row in rows]
    document_id = reviews[0].document_id
    return corrected + [
        {"document_id": document_id, "label": label, "score": score}
        for label, score in scores.items()
    ]


def corrected_labels(rows: list[Row], reviews: list[Review], places: TextPlaces) -> list[Row]:
    """A classifier chooses no label that is not right, and the one that is instead."""
    corrected: list[Row] = []
    for row in rows:
        labels = list(row["labels"] or ())
        own = [r for r in reviews if len(rows) == 1 or r.label in labels]
        wrong = {review.label for review in own if review.text != review.label}
        right = [review.text for review in own if review.text is not None]
        new_labels = list(dict.fromkeys([*right, *(name for name in labels if name not in wrong)]))
        if set(new_labels) == set(labels):
            corrected.append(row)
            continue
        new = {name: row[name] for name in ("document_id", "component")}
        new |= {"labels": new_labels, "status": "ok" if new_labels else "no_answer"}
        corrected.append(new)
    return corrected


def corrected_entities(rows: list[Row], reviews: list[Review], places: TextPlaces) -> list[Row]:
    """Those that are right, in the order of the text; a person's push aside what they overlap."""
    by_id = {r.entity_id: r for r in reviews if r.entity_id is not None}
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
    for review in (review for review in reviews if review.entity_id is None):
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


def corrected_tokens(rows: list[Row], reviews: list[Review], places: TextPlaces) -> list[Row]:
    """Tokens stand in the entities that are right, and in no other."""
    tags: list[tuple[str, str | None]] = [("O", None)] * len(rows)
    entities = corrected_entities(places.entities(reviews[0].document_id), reviews, places)
    for entity in entities:
        start, end = entity.get("start_token"), entity.get("end_token")
        for number in range(start, end) if start is not None and end is not None else ():
            tags[number] = ("B" if number == start else "I", entity["label"])
    return [
        {**row, "ent_iob": iob, "ent_type": label}
        for row, (iob, label) in zip(rows, tags, strict=True)
    ]


def corrected_documents(rows: list[Row], reviews: list[Review], places: TextPlaces) -> list[Row]:
    """A document has so many entities as are right."""
    entities = corrected_entities(places.entities(reviews[0].document_id), reviews, places)
    return [{**row, "n_entities": len(entities)} for row in rows]
