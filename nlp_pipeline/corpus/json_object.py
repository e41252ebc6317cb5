"""One line to one object: orjson first, the standard library for what orjson is too strict for."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import orjson

from nlp_pipeline.corpus.notes import Notes
from nlp_pipeline.errors.file_formats import InvalidJson, InvalidUtf8
from nlp_pipeline.errors.records import NotAnObject, Place, TooDeep

MAX_DEPTH = 100
"""How many objects and arrays may stand in one another; orjson itself stops at 1024."""
_INT64_DIGITS = 18
_LARGE = 2.0**63


def parse_object(data: bytes, place: Place, offset: int, notes: Notes) -> dict[str, Any]:
    """The object that a line holds, its values plain JSON that every table can take.

    Args:
        data: The line.
        place: Where it stands, for messages.
        offset: Byte of the file at which it starts, for messages.
        notes: Takes a warning for everything that was not read as it stands.

    Raises:
        BadRecord: `InvalidUtf8`, `InvalidJson`, `TooDeep` or `NotAnObject`.
    """
    value = parse_value(data, place, offset, notes)
    if type(value) is not dict:
        raise NotAnObject(place, type_name(value))
    return value


def parse_value(data: bytes, place: Place, offset: int, notes: Notes) -> Any:
    """Any JSON value, read as tolerantly as `parse_object` reads an object.

    Args:
        data: The value.
        place: Where it stands, for messages.
        offset: Byte of the file at which it starts, for messages.
        notes: Takes a warning for everything that was not read as it stands.

    Raises:
        BadRecord: `InvalidUtf8`, `InvalidJson` or `TooDeep`.
    """
    try:
        value = orjson.loads(data)
        # orjson reads an integer of more than 64 bits as a float, which loses digits.
        if _checked(value, place):
            value = _parse_leniently(data, place, offset, notes)
    except orjson.JSONDecodeError:
        value = _parse_leniently(data, place, offset, notes)
    return value


def type_name(value: object) -> str:
    """The type of a JSON value in words, for messages: `"a number"`."""
    names = {bool: "a truth value", int: "a number", float: "a number", str: "a string"}
    names |= {list: "an array", dict: "an object", type(None): "null"}
    return names.get(type(value), f"a value of type {type(value).__name__}")


def _checked(value: Any, place: Place) -> bool:
    """Whether some number is so large that it may have been an integer; refuses deep nesting."""
    large, depth, level = False, 0, [value]
    while level:
        nested: list[Any] = []
        for container in level:
            items = container.values() if type(container) is dict else container
            for item in items if type(container) in (dict, list) else ():
                if type(item) is dict or type(item) is list:
                    nested.append(item)
                elif type(item) is float and abs(item) >= _LARGE:
                    large = True
        level, depth = nested, depth + 1
        if level and depth >= MAX_DEPTH:
            raise TooDeep(place, MAX_DEPTH)
    return large


def _parse_leniently(data: bytes, place: Place, offset: int, notes: Notes) -> Any:
    try:
        text = data.decode("utf-8").rstrip(" \t\r\n")
    except UnicodeDecodeError as error:
        raise InvalidUtf8(place, offset + error.start, data) from None
    if text.startswith("\ufeff"):
        notes.once("byte_order_mark", place)
        text, offset = text[1:], offset + 3
    try:
        value = _decode(text, place, notes)
    except RecursionError:
        raise TooDeep(place, MAX_DEPTH) from None
    except json.JSONDecodeError as error:
        byte = offset + len(text[: error.pos].encode("utf-8"))
        raise InvalidJson(place, error.pos + 1, byte, reason=error.msg) from None
    _checked(value, place)
    return _without_surrogates(value, lambda: notes.once("lone_surrogate", place))


def _decode(text: str, place: Place, notes: Notes) -> Any:
    def integer(digits: str) -> int | str:
        if len(digits) <= _INT64_DIGITS or -(2**63) <= _int(digits) < 2**64:
            return int(digits)
        notes.once("huge_integer", place)
        return digits

    def number(digits: str) -> float | None:
        # Takes `NaN` and `Infinity` as well, and `1e999`, which is infinite as a float.
        if math.isfinite(value := float(digits)):
            return value
        notes.once("not_finite", place)
        return None

    hooks: dict[str, Any] = {
        "parse_int": integer,
        "parse_float": number,
        "parse_constant": number,
    }
    try:
        return json.loads(text, **hooks)
    except json.JSONDecodeError:
        value = json.loads(text, strict=False, **hooks)
        notes.once("control_character", place)
        return value


def _int(digits: str) -> int:
    """The number, or one out of range for more digits than any 64-bit integer has.

    Python itself refuses to convert thousands of digits, and needs long for hundreds.
    """
    return int(digits) if len(digits) <= 20 else 2**64


def _without_surrogates(value: Any, note: Callable[[], None]) -> Any:
    """The value with U+FFFD for each half of a surrogate pair, which no UTF-8 file can hold."""
    if isinstance(value, str):
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            note()
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return value
    if isinstance(value, list):
        return [_without_surrogates(item, note) for item in value]
    if isinstance(value, dict):
        return {
            _without_surrogates(key, note): _without_surrogates(item, note)
            for key, item in value.items()
        }
    return value
