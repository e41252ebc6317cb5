"""A run as records for Argilla; `nlp-pipeline review` reads what `to_json` writes of them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from nlp_pipeline.errors.export import spans_beyond_argilla
from nlp_pipeline.export.job import ExportJob
from nlp_pipeline.export.json_files import json_list, write_texts
from nlp_pipeline.export.tool_documents import ToolDocument, ToolLabels, tool_documents
from nlp_pipeline.reviews.review import ANSWERS, CATEGORIES, ENTITIES
from nlp_pipeline.reviews.tool_files import ORIGIN, QUESTION_NAMES
from nlp_pipeline.reviews.utf16_offsets import Utf16Offsets

logger = logging.getLogger(__name__)


def write_argilla(job: ExportJob) -> list[Path]:
    """`records.json` and `settings.json`, as Argilla's own classes read them.

    Offsets count UTF-16 units, as Argilla's page does. Its server refuses those that lie beyond
    the code points of the text: they are left out, and a warning says how many.
    """
    n_left_out = 0

    def records() -> Iterator[dict[str, Any]]:
        nonlocal n_left_out
        for document in tool_documents(job):
            record, n_beyond = _record(document, job.tables)
            n_left_out += n_beyond
            yield record

    labels = ToolLabels.of_job(job)
    files = [
        write_texts(job.target / "records.json", json_list(records())),
        write_texts(job.target / "settings.json", [json.dumps(_settings(job, labels), indent=2)]),
    ]
    if n_left_out:
        logger.warning("%s", spans_beyond_argilla(n_left_out))
    return files


def _record(document: ToolDocument, tables: Iterable[str]) -> tuple[dict[str, Any], int]:
    offsets, limit, n_beyond = Utf16Offsets(document.text), len(document.text), 0
    suggestions: dict[str, Any] = {}
    for table in (ANSWERS, ENTITIES):
        spans: list[dict[str, Any]] = [
            {
                "start": offsets.units(piece.row["start_char"]),
                "end": offsets.units(piece.row["end_char"]),
                "label": piece.label,
            }
            for piece in document.pieces[table]
        ]
        fitting = [span for span in spans if span["end"] <= limit]
        n_beyond += len(spans) - len(fitting)
        if table in tables and fitting:
            scores = [piece.score for piece in document.pieces[table]]
            has_scores = len(fitting) == len(spans) and None not in scores
            score = scores if has_scores else None
            suggestions[QUESTION_NAMES[table]] = {"value": fitting, "score": score}
    if document.labels:
        suggestion = {"value": document.labels[0], "score": document.label_score}
        suggestions[QUESTION_NAMES[CATEGORIES]] = suggestion
    return {
        "id": document.id,
        "fields": {"text": document.text},
        "metadata": {ORIGIN: json.dumps(document.origin)},
        "suggestions": {n: {**s, "agent": document.model} for n, s in suggestions.items()},
        "responses": {},
        "vectors": {},
    }, n_beyond


def _settings(job: ExportJob, labels: ToolLabels) -> dict[str, Any]:
    """The settings of the data set that the records go into."""
    names: dict[str, dict[str, str]] = {
        ANSWERS: labels.questions,
        ENTITIES: {label: label for label in labels.entities},
        CATEGORIES: {label: label for label in labels.categories},
    }
    questions: list[dict[str, Any]] = []
    for table in (ANSWERS, ENTITIES, CATEGORIES):
        if table not in job.tables or not names[table]:
            continue
        options = [{"value": label, "text": text} for label, text in names[table].items()]
        settings: dict[str, Any] = {"type": "label_selection", "options": options}
        if table != CATEGORIES:
            settings |= {"type": "span", "field": "text", "allow_overlapping": True}
        name = QUESTION_NAMES[table]
        # One has to be required; a text without any entity can be submitted none the less.
        required = table == CATEGORIES or not questions
        question = {"name": name, "title": name.capitalize(), "required": required}
        questions.append({**question, "settings": settings})
    field = {"name": "text", "title": "Text", "required": True}
    field["settings"] = {"type": "text", "use_markdown": False}
    return {"questions": questions, "fields": [field], "allow_extra_metadata": True}
