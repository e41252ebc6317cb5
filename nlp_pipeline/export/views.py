"""Views that join what belongs together, for the databases that a run is exported to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from nlp_pipeline.export.job import ExportJob

_OF_DOCUMENT = ("document_id", "status", "error")
"""Columns of `documents` that stand in `answers` too, where they say something else."""


NAMES = ("answers_with_text", "answers_with_page", "entities_by_document")
"""Of all views that there are."""


class View(NamedTuple):
    """A view over exported tables.

    Attributes:
        name: Its name.
        meaning: What a row of it is.
        query: The SELECT, in the SQL that DuckDB and SQLite share.
        columns: Its columns, each with its meaning.
    """

    name: str
    meaning: str
    query: str
    columns: dict[str, str]


def views_of(job: ExportJob) -> Iterator[View]:
    """The views whose tables are all exported."""
    if {"answers", "documents"} <= set(job.tables):
        yield _answers_with_text(job)
    if {"answers", "layout"} <= set(job.tables):
        yield _answers_with_page(job)
    if "entities" in job.tables:
        yield _entities_by_document(job)


def quoted(name: str) -> str:
    """A name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


def _answers_with_text(job: ExportJob) -> View:
    answers = meanings(job, "answers")
    documents = meanings(job, "documents")
    own = [name for name in documents if name not in answers and name not in _OF_DOCUMENT]
    columns = [f"a.{quoted(name)}" for name in answers] + [f"d.{quoted(name)}" for name in own]
    query = (
        f"SELECT {', '.join(columns)} FROM answers a "
        "JOIN documents d ON d.document_id = a.document_id"
    )
    meaning = "an answer with the text, the source and the meta of its document"
    return View(
        "answers_with_text",
        meaning,
        query,
        columns=answers | {name: documents[name] for name in own},
    )


def _answers_with_page(job: ExportJob) -> View:
    answers, layout = meanings(job, "answers"), meanings(job, "layout")
    names = ("document_id", "question_id", "component", "question", "answer", "start_char")
    query = (
        f"SELECT {', '.join(f'a.{name}' for name in names)}, l.page, l.kind, l.section "
        "FROM answers a JOIN layout l ON l.document_id = a.document_id AND l.kind <> 'page' "
        "AND a.start_char >= l.start_char AND a.start_char < l.end_char"
    )
    columns = {name: answers[name] for name in names}
    columns |= {name: layout[name] for name in ("page", "kind", "section")}
    meaning = "an answer with the page, the section and the kind of the part that it stands in"
    return View("answers_with_page", meaning, query, columns=columns)


def _entities_by_document(job: ExportJob) -> View:
    query = (
        "SELECT document_id, label, text, COUNT(*) AS mentions, "
        "MIN(start_char) AS first_start_char FROM entities "
        "GROUP BY document_id, label, text"
    )
    entities = meanings(job, "entities")
    columns = {name: entities[name] for name in ("document_id", "label", "text")} | {
        "mentions": "how often the document has this entity with this label",
        "first_start_char": "first character of the first of them in the document's text",
    }
    return View("entities_by_document", "an entity of a document, counted", query, columns=columns)


def meanings(job: ExportJob, table: str) -> dict[str, str]:
    """The columns of a table as it is exported, each with its meaning."""
    return {
        field.name: (field.metadata or {}).get(b"meaning", b"").decode("utf-8")
        for field in job.schema(table)
    }
