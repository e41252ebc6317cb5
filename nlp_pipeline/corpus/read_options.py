"""What a caller can set about reading, and what every format's reader hands on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from nlp_pipeline.corpus.documents.conversion import Converter
from nlp_pipeline.errors.records import BadRecord

NumberedFields: TypeAlias = tuple[int, "dict[str, Any] | BadRecord"]
"""Line or row, and the fields that stand there or the reason why none can be read."""


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How records are read.

    Attributes:
        text_key: The field that holds the text.
        id_key: The field that holds the id.
        max_length: The longest text in characters (Unicode code points).
        converter: Makes texts of documents that are none; None for one of its own a file.
        query: What is read of a database.
    """

    text_key: str = "text"
    id_key: str = "id"
    max_length: int = 100_000
    converter: Converter | None = None
    query: str | None = None
