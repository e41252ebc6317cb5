"""Files of reviews: `review.jsonl`, one a line, and what annotation tools give back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nlp_pipeline.errors.review import (
    ReviewFileUnreadable,
    ReviewUnusable,
    damaged_task,
    not_an_object,
    right_value_missing,
    unknown_fields,
    wrong_value,
)
from nlp_pipeline.reviews.marked_document import MarkedDocument
from nlp_pipeline.reviews.review import REVIEW_COLUMNS, TARGETS, VERDICTS, Review
from nlp_pipeline.reviews.review_time import utc_time
from nlp_pipeline.reviews.tool_files import (
    ORIGIN,
    argilla_documents,
    label_studio_documents,
    prodigy_documents,
)

REMARKS = ("question", "status", "confidence")
"""What a line may say beside: for the person who fills it in."""
_NUMBERS = ("entity_id", "start_char", "end_char")


@dataclass(frozen=True)
class ReviewLine:
    """A line of a review, or what one person has made of a document in an annotation tool.

    Attributes:
        place: Where it stands, for messages.
        content: What it says; None where it is left open, or where there is a problem.
        problem: Why it cannot be taken.
    """

    place: str
    content: Review | MarkedDocument | None = None
    problem: str | None = None


def read_review_file(path: Path) -> Iterator[ReviewLine]:
    """What a file says, in its order: a `review.jsonl`, or what a tool has exported.

    Label Studio's and Argilla's exports are one JSON list, Prodigy's has an example a line. Empty
    lines are passed over.

    Raises:
        ReviewFileUnreadable: There is no such file, or it is no text.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no UTF-8"
        raise ReviewFileUnreadable(str(path), reason) from error
    items = _listed_objects(text)
    if items is not None:
        for number, item in enumerate(items, 1):
            yield from _lines_of(f"{path.name}, item {number}", item)
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield from _lines_of(f"{path.name}:{number}", _parsed(line))


def _listed_objects(text: str) -> list[dict[str, Any]] | None:
    """The objects of a JSON list; None where the text is something else."""
    values = _parsed(text) if text.lstrip().startswith("[") else None
    is_list = isinstance(values, list) and all(isinstance(value, dict) for value in values)
    return values if is_list else None


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _lines_of(place: str, values: Any) -> Iterator[ReviewLine]:
    """What one JSON value says; a line that is open where that is nothing."""
    try:
        if not isinstance(values, dict):
            raise ReviewUnusable(not_an_object())
        documents = _reader_of(values)
        if documents is None:
            contents: list[Any] = [review_of(values)]
        else:
            contents = list(documents(values)) or [None]
    except ReviewUnusable as error:
        yield ReviewLine(place, problem=str(error))
    except (AttributeError, TypeError, ValueError) as error:  # a tool's file that is damaged
        yield ReviewLine(place, problem=damaged_task(str(error)))
    else:
        for content in contents:
            yield ReviewLine(place, content)


def _reader_of(
    values: Mapping[str, Any],
) -> Callable[[Mapping[str, Any]], Iterator[MarkedDocument]] | None:
    """Who reads an object: by the fields that only this tool gives it; None for a review."""
    if "data" in values:
        return label_studio_documents
    if "fields" in values:
        return argilla_documents
    if ORIGIN in values or "spans" in values:
        return prodigy_documents
    return None


def review_of(values: Mapping[str, Any]) -> Review | None:
    """The review that some fields make; None where the verdict is still open.

    Raises:
        ReviewUnusable: A field is unknown, or holds what it cannot.
    """
    strange = [name for name in values if name not in REVIEW_COLUMNS and name not in REMARKS]
    if strange:
        raise ReviewUnusable(unknown_fields(strange, REVIEW_COLUMNS))
    given_values = {name: values[name] for name in REVIEW_COLUMNS if values.get(name) is not None}
    for name, value in given_values.items():
        if name in _NUMBERS and (not isinstance(value, int) or isinstance(value, bool)):
            raise ReviewUnusable(wrong_value(name, value, "a whole number"))
        if name not in _NUMBERS and not isinstance(value, str):
            raise ReviewUnusable(wrong_value(name, value, "a text"))
    if "document_id" not in given_values:
        raise ReviewUnusable(wrong_value("document_id", None, "a document's id"))
    if not given_values.get("verdict"):
        return None
    _check_choice(given_values, "verdict", VERDICTS)
    _check_choice(given_values, "target", TARGETS)
    if ("start_char" in given_values) != ("end_char" in given_values):
        raise ReviewUnusable(right_value_missing("both 'start_char' and 'end_char', or neither"))
    review = Review(**given_values)
    return replace(review, reviewed_at=utc_time(review.reviewed_at), text=review.text or None)


def _check_choice(values: Mapping[str, Any], name: str, choices: tuple[str, ...]) -> None:
    if name in values and values[name] not in choices:
        raise ReviewUnusable(wrong_value(name, values[name], "one of " + ", ".join(choices)))
