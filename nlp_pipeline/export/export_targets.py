"""What a run can be exported to: one entry a form, imported when it is used."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from nlp_pipeline.export.job import ExportJob

Writer = Callable[["ExportJob"], list[Path]]
"""Writes what the job says, part by part, and returns the files."""


class ExportTarget(NamedTuple):
    """A form that a run can be exported to.

    Attributes:
        writer: `module:function` of its `Writer`.
        meaning: What comes out, for the help.
        suffixes: How the names of its files may end; the first is the usual one.
        is_folder: Whether TARGET is a folder of files, or one file.
        tables: The tables that it can take; empty for all.
    """

    writer: str
    meaning: str
    suffixes: tuple[str, ...]
    is_folder: bool = True
    tables: tuple[str, ...] = ()


_FILES = "nlp_pipeline.export.table_files"
_JUDGED = ("answers", "categories", "entities")
"""What annotation tools can show."""

TARGETS: dict[str, ExportTarget] = {
    "parquet": ExportTarget(f"{_FILES}:write_parquet", "a Parquet file a table", (".parquet",)),
    "csv": ExportTarget(f"{_FILES}:write_csv", "a CSV file a table", (".csv",)),
    "jsonl": ExportTarget(
        f"{_FILES}:write_jsonl", "a file of JSON Lines a table", (".jsonl", ".ndjson")
    ),
    "arrow": ExportTarget(
        f"{_FILES}:write_arrow", "an Arrow IPC file (Feather) a table", (".arrow", ".feather")
    ),
    "duckdb": ExportTarget(
        "nlp_pipeline.export.duckdb_file:write_duckdb",
        "a DuckDB database",
        (".duckdb", ".ddb", ".db"),
        is_folder=False,
    ),
    "sqlite": ExportTarget(
        "nlp_pipeline.export.sqlite_file:write_sqlite",
        "an SQLite database",
        (".sqlite", ".sqlite3", ".db"),
        is_folder=False,
    ),
    "xlsx": ExportTarget(
        "nlp_pipeline.export.workbook:write_xlsx", "an Excel workbook", (".xlsx",), is_folder=False
    ),
    "review": ExportTarget(
        "nlp_pipeline.export.review_sheet:write_review",
        "a review.jsonl to fill in",
        (".jsonl",),
        is_folder=False,
        tables=(*_JUDGED, "extraction_fields"),
    ),
    "spacy": ExportTarget(
        "nlp_pipeline.export.spacy_docs:write_spacy",
        "spaCy DocBins to train on",
        (".spacy",),
        tables=("entities", "spans", "categories"),
    ),
    "squad": ExportTarget(
        "nlp_pipeline.export.squad_file:write_squad",
        "questions and answers in SQuAD 2.0's form",
        (".json",),
        is_folder=False,
        tables=("answers",),
    ),
    "label-studio": ExportTarget(
        "nlp_pipeline.export.label_studio:write_label_studio",
        "tasks with predictions and the labeling interface for Label Studio",
        (".json",),
        tables=_JUDGED,
    ),
    "prodigy": ExportTarget(
        "nlp_pipeline.export.prodigy:write_prodigy",
        "examples for Prodigy",
        (".jsonl",),
        is_folder=False,
        tables=_JUDGED,
    ),
    "argilla": ExportTarget(
        "nlp_pipeline.export.argilla:write_argilla",
        "records with suggestions and the settings for Argilla",
        (".json",),
        tables=_JUDGED,
    ),
}
"""The forms by their names in `--to`."""

DATABASES = ("duckdb", "sqlite")
"""Of these those that are written into a file that may be there, beside what it holds."""


def writer_of(target: ExportTarget) -> Writer:
    """The function that writes a target, imported now."""
    module, _, function = target.writer.partition(":")
    writer: Writer = getattr(import_module(module), function)
    return writer
