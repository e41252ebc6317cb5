"""`review.jsonl`: one review a line, as the export of a run lays it out to be filled in."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from nlp_pipeline.errors.review import (
    ReviewFileUnreadable,
    ReviewUnusable,
    not_an_object,
    right_value_missing,
    unknown_fields,
    wrong_value,
)
from nlp_pipeline.reviews.review import FIELDS, TARGETS, VERDICTS, Review

REMARKS = ("question", "status", "confidence")
"""What a line may say beside: for the person who fills it in."""
_NUMBERS = ("entity_id", "start_char", "end_char")


@dataclass(frozen=True)
class ReviewLine:
    """A line of a review.

    Attributes:
        place: Where it stands, for messages.
        review: What it says; None where it is left open, or where there is a problem.
        problem: Why it cannot be taken.
    """

    place: str
    review: Review | None = None
    problem: str | None = None


def read_review_file(path: Path) -> Iterator[ReviewLine]:
    """The lines of a review in the order of the file; empty ones are passed over.

    Raises:
        ReviewFileUnreadable: There is no such file, or it is no text.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no UTF-8"
        raise ReviewFileUnreadable(str(path), reason) from error
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield line_of(f"{path.name}:{number}", line)


def line_of(place: str, line: str) -> ReviewLine:
    """What one line of JSON says."""
    try:
        values = json.loads(line)
    except ValueError:
        values = None
    try:
        if not isinstance(values, dict):
            raise ReviewUnusable(not_an_object())
        return ReviewLine(place, review_of(values))
    except ReviewUnusable as error:
        return ReviewLine(place, problem=str(error))


def review_of(values: Mapping[str, Any]) -> Review | None:
    """The review that some fields make; None where the verdict is still open.

    Raises:
        ReviewUnusable: A field is unknown, or holds what it cannot.
    """
    strange = [name for name in values if name not in FIELDS and name not in REMARKS]
    if strange:
        raise ReviewUnusable(unknown_fields(strange, FIELDS))
    given_values = {name: values[name] for name in FIELDS if values.get(name) is not None}
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
    return replace(review, reviewed_at=_utc(review.reviewed_at), text=review.text or None)


def _check_choice(values: Mapping[str, Any], name: str, choices: tuple[str, ...]) -> None:
    if name in values and values[name] not in choices:
        raise ReviewUnusable(wrong_value(name, values[name], "one of " + ", ".join(choices)))


def _utc(time: str | None) -> str | None:
    """A time as ISO 8601 in UTC; one without a zone is taken for UTC.

    Raises:
        ReviewUnusable: It is no time.
    """
    if time is None:
        return None
    try:
        # Python 3.10 does not know the Z that JavaScript writes.
        moment = datetime.fromisoformat(time.replace("Z", "+00:00"))
    except ValueError:
        example = "a time such as 2024-05-31T12:00:00Z"
        raise ReviewUnusable(wrong_value("reviewed_at", time, example)) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return moment.astimezone(timezone.utc).isoformat(timespec="milliseconds")
