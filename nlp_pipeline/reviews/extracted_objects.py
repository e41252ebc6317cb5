"""Objects of an extractor with some of their values replaced by what people say."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from nlp_pipeline.reviews.review import REJECT, Review


def with_values(extraction: str, values: Mapping[str, str | None]) -> Any:
    """An object with other values in it.

    A number or a truth value stays one where the text is one; an element of an array that should
    not be there is null, so that the others keep their places.

    Args:
        extraction: The object as JSON.
        values: By their JSON pointers (RFC 6901); one that leads nowhere is passed over.
    """
    whole = json.loads(extraction)
    for pointer, text in values.items():
        steps = [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]
        holder: Any = whole
        for step in steps[:-1]:
            holder = _child(holder, step)
        key = _key(holder, steps[-1]) if steps else None
        if key is not None:
            holder[key] = _like(holder[key], text)
    return whole


def reviewed_object(
    extraction: str, values: Mapping[str, str | None], reviews: Collection[Review]
) -> Any:
    """An object as people say that it is right; None where they have not said it of all of it.

    Args:
        extraction: The object as JSON.
        values: What it holds, by JSON pointers.
        reviews: Of its values.
    """
    by_field = {str(review.field): review for review in reviews}
    is_whole = all(name in by_field for name, value in values.items() if value)
    if not is_whole or any(review.verdict == REJECT for review in reviews):
        return None
    right = {name: r.answer_is_right for name, r in by_field.items() if name in values}
    return with_values(extraction, right)


def _child(holder: Any, step: str) -> Any:
    key = _key(holder, step)
    return None if key is None else holder[key]


def _key(holder: Any, step: str) -> Any:
    """The key or the index that a step of a pointer is; None where there is none."""
    if isinstance(holder, list):
        return int(step) if step.isdecimal() and int(step) < len(holder) else None
    return step if isinstance(holder, dict) and step in holder else None


def _like(value: Any, text: str | None) -> Any:
    """A text in place of a value: of its type, where the text can be."""
    if text is None or isinstance(value, str) or value is None:
        return text
    try:
        parsed = json.loads(text)
    except ValueError:
        return text
    is_like = isinstance(parsed, bool) == isinstance(value, bool)
    return parsed if is_like and isinstance(parsed, bool | int | float) else text
