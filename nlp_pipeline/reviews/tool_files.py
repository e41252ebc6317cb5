"""Files of annotation tools that hold what was exported to them and what people made of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from typing import Any

from nlp_pipeline.errors.review import ReviewUnusable, not_an_export, wrong_value
from nlp_pipeline.reviews.marked_document import Mark, MarkedDocument, Unit
from nlp_pipeline.reviews.review import ANSWERS, CATEGORIES, ENTITIES
from nlp_pipeline.reviews.review_time import utc_time

ORIGIN = "nlp_pipeline"
"""The key under which an export says what it is about."""
QUESTION_NAMES = {ANSWERS: "answers", ENTITIES: "entities", CATEGORIES: "label"}
"""What a table is called in the settings of Label Studio and Argilla."""


def label_studio_documents(task: Mapping[str, Any]) -> Iterator[MarkedDocument]:
    """The documents that a task's annotators have made, one each; a skipped one is none.

    Raises:
        ReviewUnusable: The task is none that was exported from a run.
    """
    origin = _origin(task.get("data"))
    for annotation in task.get("annotations") or ():
        if annotation.get("was_cancelled"):
            continue
        marks: list[Mark] = []
        label = None
        for item in annotation.get("result") or ():
            value = item.get("value") or {}
            if item.get("type") == "choices":
                label = next(iter(value.get("choices") or ()), None)
            elif item.get("type") == "labels":
                text = value["text"] if isinstance(value.get("text"), str) else None
                marks += [
                    Mark(_number(value, "start"), _number(value, "end"), name, text=text)
                    for name in value.get("labels") or ()
                ]
        person = annotation.get("completed_by")
        if isinstance(person, Mapping):
            person = person.get("email") or person.get("id")
        time = annotation.get("updated_at") or annotation.get("created_at")
        # Releases of before 2022 counted UTF-16 units, later ones code points.
        yield _document(
            origin,
            marks=marks,
            label=label,
            unit="as its text says",
            reviewer=person,
            time=utc_time(time),
        )


def prodigy_documents(example: Mapping[str, Any]) -> Iterator[MarkedDocument]:
    """The document of an example that was accepted; one that was rejected or ignored is none.

    Raises:
        ReviewUnusable: The example is none that was exported from a run.
    """
    origin = _origin(example)
    if example.get("answer") != "accept":
        return
    marks = [
        Mark(_number(span, "start"), _number(span, "end"), str(span.get("label")))
        for span in example.get("spans") or ()
    ]
    seconds = example.get("_timestamp")
    time = None
    if isinstance(seconds, int | float):
        time = datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds")
    yield _document(
        origin,
        marks=marks,
        label=next(iter(example.get("accept") or ()), None),
        unit="code points",
        reviewer=example.get("_annotator_id") or example.get("_session_id"),
        time=time,
    )


def argilla_documents(record: Mapping[str, Any]) -> Iterator[MarkedDocument]:
    """The documents that the users who have responded to a record have made, one each.

    Raises:
        ReviewUnusable: The record is none that was exported from a run.
    """
    origin = _origin(record.get("metadata"))
    responses: dict[Any, dict[str, Any]] = {}
    for table, name in QUESTION_NAMES.items():
        for response in (record.get("responses") or {}).get(name) or ():
            responses.setdefault(response.get("user_id"), {})[table] = response.get("value")
    for user, values in responses.items():
        marks = [
            Mark(_number(span, "start"), _number(span, "end"), str(span.get("label")))
            for table in (ANSWERS, ENTITIES)
            for span in values.get(table) or ()
        ]
        # A question that nobody has answered says nothing: it may have been passed over.
        judged = {**origin, "tables": [name for name in origin["tables"] if name in values]}
        # Argilla's page counts as JavaScript does (argilla-io/argilla#5729).
        yield _document(
            judged,
            marks=marks,
            label=values.get(CATEGORIES),
            unit="UTF-16",
            reviewer=user,
            time=None,
        )


def _origin(holder: Any) -> dict[str, Any]:
    """What an export has said of itself."""
    origin = holder.get(ORIGIN) if isinstance(holder, Mapping) else None
    if isinstance(origin, str):  # Argilla's metadata hold no objects
        try:
            origin = json.loads(origin)
        except ValueError:
            origin = None
    if not isinstance(origin, dict) or not {"document_id", "tables"} <= origin.keys():
        raise ReviewUnusable(not_an_export())
    return origin


def _number(value: Mapping[str, Any], name: str) -> int:
    number = value.get(name)
    if isinstance(number, bool) or not isinstance(number, int):
        raise ReviewUnusable(wrong_value(name, number, "a whole number"))
    return number


def _document(
    origin: Mapping[str, Any],
    *,
    marks: list[Mark],
    label: Any,
    unit: Unit,
    reviewer: Any,
    time: str | None,
) -> MarkedDocument:
    return MarkedDocument(
        str(origin["document_id"]),
        origin.get("text_digest"),
        frozenset(origin["tables"]),
        questions={name: (c, q) for name, (c, q) in origin.get("questions", {}).items()},
        marks=marks,
        label=label if isinstance(label, str) else None,
        unit=unit,
        reviewer=None if reviewer is None else str(reviewer),
        reviewed_at=time,
    )
