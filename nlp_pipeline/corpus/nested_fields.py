"""Fields that lie in objects: `--text-key content.body`."""

from __future__ import annotations

from typing import Any


def lifted(fields: dict[str, Any], key: str) -> dict[str, Any]:
    """The fields with the value at `content.body` as a field of that name, where there is none.

    The value leaves its object; the fields given stay as they are.

    Args:
        fields: The record's.
        key: A field's name, or names with dots between them that lead into objects.
    """
    if key in fields or "." not in key:
        return fields
    *outer, last = key.split(".")
    copy = inner = dict(fields)
    for name in outer:
        if type(inner.get(name)) is not dict:
            return fields
        inner[name] = inner = dict(inner[name])
    return {**copy, key: inner.pop(last)} if last in inner else fields
