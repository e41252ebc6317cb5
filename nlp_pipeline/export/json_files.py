"""JSON files that are written value by value, for the forms of annotation tools."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from nlp_pipeline.run_folder.files import sweep_beside, write_atomically


def json_list(values: Iterable[Any]) -> Iterator[str]:
    """A JSON list, value by value; in ASCII, since a lone surrogate is no UTF-8."""
    yield "["
    for number, value in enumerate(values):
        yield (",\n" if number else "\n") + json.dumps(value)
    yield "\n]\n"


def write_texts(file: Path, texts: Iterable[str]) -> Path:
    """Writes a file of some texts, one behind the other, which is there once it is whole."""
    sweep_beside(file)
    write_atomically(file, partial(_fill, texts))
    return file


def _fill(texts: Iterable[str], file: Path) -> None:
    with file.open("w", encoding="utf-8", newline="\n") as stream:
        stream.writelines(texts)
