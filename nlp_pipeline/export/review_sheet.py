"""A run as a `review.jsonl` to fill in: a line an answer, a label, an entity or a value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from nlp_pipeline.export.job import ExportJob
from nlp_pipeline.reviews.review import ANSWERS, CATEGORIES, EXTRACTION_FIELDS
from nlp_pipeline.run_folder.files import sweep_beside, write_atomically
from nlp_pipeline.run_folder.review_table import text_digest

_COLUMNS: dict[str, list[str]] = {
    "answers": [
        *("document_id", "component", "question_id", "question", "answer", "status"),
        *("confidence", "start_char", "end_char"),
    ],
    "categories": ["document_id", "label", "score"],
    "entities": ["document_id", "entity_id", "text", "label", "start_char", "end_char"],
    "extraction_fields": ["document_id", "component", "field", "value"],
}


def write_review(job: ExportJob) -> list[Path]:
    """Lines with everything but a verdict, in the order of the corpus.

    Of the labels of a document only the one with the highest score is a line.
    """

    def write(file: Path) -> None:
        with file.open("wb") as stream:
            for line in _lines(job):
                stream.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))

    sweep_beside(job.target)
    write_atomically(job.target, write)
    return [job.target]


def _lines(job: ExportJob) -> Iterator[dict[str, Any]]:
    columns = {
        "documents": ["document_id", "text"],
        **{name: _COLUMNS[name] for name in job.tables},
    }
    for part in job.joined_parts(columns):
        texts = part["documents"].to_pydict()
        digests = {
            name: text_digest(text)
            for name, text in zip(texts["document_id"], texts["text"], strict=True)
            if text is not None
        }
        for table in job.tables:
            rows = part[table].to_pylist()
            for row in _likeliest(rows) if table == CATEGORIES else rows:
                if row["document_id"] in digests:
                    yield _line(table, row, digests[row["document_id"]])


def _likeliest(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of the labels of each document the one with the highest score."""
    best: dict[str, dict[str, Any]] = {}
    for row in rows:
        name = row["document_id"]
        if name not in best or (row["score"] or 0.0) > (best[name]["score"] or 0.0):
            best[name] = row
    return list(best.values())


def _line(table: str, row: Mapping[str, Any], digest: str) -> dict[str, Any]:
    keys: dict[str, Any] = {"document_id": row["document_id"], "target": table}
    keys["text_digest"] = digest
    blank = {"verdict": None, "text": None, "note": None}
    span = {"start_char": None, "end_char": None}
    if table == EXTRACTION_FIELDS:
        own = {"component": row["component"], "field": row["field"], "answer": row["value"]}
        return {**keys, **own, **blank, **span}
    if table == ANSWERS:
        names = ("component", "question_id", "question", "answer", "status", "confidence")
        return {**keys, **{name: row[name] for name in names}, **blank, **span}
    if table == CATEGORIES:
        return {**keys, "label": row["label"], "confidence": row["score"], **blank}
    own = {name: row[name] for name in ("entity_id", "label", "start_char", "end_char")}
    return {**keys, "answer": row["text"], **own, **blank}
