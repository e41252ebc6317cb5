"""Worked examples that stand in a prompt before the document (few-shot), checked when read."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from nlp_pipeline.errors.config import ExampleInvalid, ExamplesUnreadable


@dataclass(frozen=True, slots=True)
class Example:
    """One worked example.

    Attributes:
        values: What the template is given for it, such as `text` and `question`.
        reply: What the assistant says to it.
    """

    values: tuple[tuple[str, str], ...]
    reply: str


def load_examples(
    component: str,
    setting: Any,
    fields: tuple[str, ...],
    reply: str,
    *,
    no_answer: str | None = None,
) -> tuple[Example, ...]:
    """Reads examples from a config or a file and checks them.

    Args:
        component: Whose they are, for messages.
        setting: A list of objects, or the path of a JSON or JSON Lines file with such objects.
        fields: The names of an example's texts, such as `("text", "question")`.
        reply: The name of what is to be said.
        no_answer: What is said where `reply` is null: the document holds no answer. With it, every
            other reply must be a piece of the example's own text.

    Raises:
        ExamplesUnreadable: The file cannot be read, or holds no examples.
        ExampleInvalid: An example lacks a field, has one too many, has something else than a
            text in one, or its answer does not stand in its text.
    """
    items = _read(component, setting) if isinstance(setting, str) else setting
    if not isinstance(items, list | tuple):
        raise ExamplesUnreadable(component, repr(setting), "they are neither a list nor a path")
    return tuple(
        _example(component, number, item, fields, reply, no_answer)
        for number, item in enumerate(items, 1)
    )


def digest(examples: tuple[Example, ...]) -> str:
    """SHA-256 of examples: part of a run's fingerprint."""
    lines = orjson.dumps([[example.values, example.reply] for example in examples])
    return hashlib.sha256(lines).hexdigest()


def _read(component: str, name: str) -> list[Any]:
    path = Path(name).expanduser()
    try:
        data = path.read_bytes()
        if path.suffix == ".json":
            items = orjson.loads(data)
        else:
            items = [orjson.loads(line) for line in data.splitlines() if line.strip()]
    except OSError as error:
        raise ExamplesUnreadable(component, name, error.strerror or str(error)) from error
    except orjson.JSONDecodeError as error:
        raise ExamplesUnreadable(component, name, f"it is no JSON ({error})") from error
    if not isinstance(items, list) or not items:
        raise ExamplesUnreadable(component, name, "it holds no examples")
    return items


def _example(
    component: str,
    number: int,
    item: Any,
    fields: tuple[str, ...],
    reply: str,
    no_answer: str | None,
) -> Example:
    def fail(reason: str) -> ExampleInvalid:
        return ExampleInvalid(component, number, item=item, reason=reason, keys=(*fields, reply))

    if not isinstance(item, Mapping):
        raise fail("is no object")
    for name in (*fields, reply):
        if name not in item:
            raise fail(f"has no '{name}'")
    if unknown := sorted(str(key) for key in item if key not in (*fields, reply)):
        raise fail(f"has the unknown key '{unknown[0]}'")
    for name in fields:
        if not isinstance(item[name], str) or not item[name].strip():
            raise fail(f"has no text under '{name}'")
    reply_text = no_answer if no_answer is not None and item[reply] is None else item[reply]
    if not isinstance(reply_text, str) or not reply_text.strip():
        raise fail(f"has no text under '{reply}'")
    if no_answer is not None and item[reply] is not None and reply_text.strip() not in item["text"]:
        raise fail(f"has a '{reply}' that does not stand in its own 'text': {reply_text!r}")
    return Example(tuple((name, item[name].strip()) for name in fields), reply_text.strip())
