"""The examples of a task, from the files that spacy-llm reads: YAML, JSON and JSON Lines."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import srsly

from nlp_pipeline.errors.spacy_llm import FewShotUnreadable
from nlp_pipeline.spacy_llm.config_section import ConfigSection

_READERS = {
    ".yml": srsly.read_yaml,
    ".yaml": srsly.read_yaml,
    ".json": srsly.read_json,
    ".jsonl": lambda path: list(srsly.read_jsonl(path)),
}


def few_shot_examples(
    task: ConfigSection, folder: Path, fields: tuple[str, ...]
) -> list[dict[str, str]]:
    """The examples that a task names, with the fields that the component here takes.

    Args:
        task: Its section.
        folder: Where the config lies: a file is looked for in the working directory first.
        fields: The names of an example's texts, the same here and there.

    Raises:
        FewShotUnreadable: The file is not there, is none that is known, or an example lacks a
            field.
    """
    reader = task.take_section("examples")
    if reader.take("@misc") is None:
        return []
    if "path" not in reader:
        raise FewShotUnreadable(task.place, "null", "no file is named")
    name = str(reader.take("path"))
    path = next((p for p in (Path(name), folder / name) if p.is_file()), Path(name))
    items = _items(task.place, path)
    return [_example(task.place, path, item, fields) for item in items]


def _items(place: str, path: Path) -> list[Any]:
    read = _READERS.get(path.suffix)
    if read is None:
        raise FewShotUnreadable(place, str(path), "its suffix is none of .yml .yaml .json .jsonl")
    try:
        items = read(path)
    except (OSError, ValueError) as error:
        raise FewShotUnreadable(place, str(path), str(error)) from error
    if not isinstance(items, list) or not items:
        raise FewShotUnreadable(place, str(path), "it is no list of examples")
    return items


def _example(place: str, path: Path, item: Any, fields: tuple[str, ...]) -> dict[str, str]:
    if not isinstance(item, Mapping) or not all(isinstance(item.get(f), str) for f in fields):
        names = " and ".join(fields)
        raise FewShotUnreadable(place, str(path), f"an example of it has no texts {names}")
    return {field: str(item[field]).strip() for field in fields}
