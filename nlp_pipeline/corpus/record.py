"""What a corpus holds: `Record`s, and the `Reject`s that stand where a record should have been."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Question:
    """A question that rides on a record.

    Attributes:
        id: Unique within the record.
        text: What is asked.
        answers: Every acceptable answer, for `nlp-pipeline evaluate`; an empty tuple says that
            the text holds none, None that nothing is said about it. No model ever sees them.
    """

    id: str
    text: str
    answers: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """One document of the corpus, before spaCy has seen it.

    Attributes:
        index: 0-based position in the corpus, rejects counted: the row order of every table.
        id: The record's own id as a string, or `file-stem:line` where it has none (a text file:
            its stem), in a folder the file's path there; unique in the corpus, rejects counted.
        text: The document; never empty, never longer than the reader's `max_length`.
        meta: Plain JSON values: the record's `meta` object with its other keys folded in.
        questions: Questions asked of this record alone, on top of the pipeline's own.
        source: The file the record stands in as the user named it, `"-"` for standard input.
        line: 1-based line (JSONL; of a CSV row the line it starts on), row (Parquet) or 1 (a
            text file).
        layout: Where the pages, headings, paragraphs and tables of a converted document stand in
            its text: rows of the table `layout`, without the document's id.
    """

    index: int
    id: str
    text: str
    meta: Mapping[str, Any] = field(default_factory=dict)
    questions: tuple[Question, ...] = ()
    source: str = "-"
    line: int = 1
    layout: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Reject:
    """A place in the corpus where a record should be and none can be read.

    Attributes:
        index: 0-based position in the corpus: a reject keeps its row in `documents`.
        id: The record's own id where it has one that no record before it has; else
            `file-stem:line`, so that two records with one id never share a row.
        kind: The reason as a stable name, such as `"invalid_json"` or `"missing_text"`.
        message: The reason for a reader: file, line, what is wrong, what to do.
        source: As in `Record`.
        line: As in `Record`.
    """

    index: int
    id: str
    kind: str
    message: str
    source: str = "-"
    line: int = 1
