"""Rows of every table from one Doc: plain Python values, nothing that refers back to spaCy.

What any component has put on the Doc is read here, so anything may raise. Then that row alone is
missing, and the document has an error that says why.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from nlp_pipeline.errors.run import RowFailed
from nlp_pipeline.tables import generated_rows as generated
from nlp_pipeline.tables import linguistic_rows as linguistic
from nlp_pipeline.tables.doc_view import DocView
from nlp_pipeline.tables.doc_view import extension as extension
from nlp_pipeline.tables.value_checks import checked_row

if TYPE_CHECKING:
    from spacy.tokens import Doc

logger = logging.getLogger(__name__)

Row = dict[str, Any]
Rows = dict[str, list[Row]]


class _RowSource(NamedTuple):
    """Where the rows of a table come from: the items of a Doc, and the rows of each."""

    items: Callable[[DocView], Iterable[Any]]
    rows: Callable[[DocView, Any], Iterator[Row]]


def _rows_of_extension(name: str) -> Callable[[DocView], Iterable[Any]]:
    return lambda view: view.annotations(name)


_SOURCES: dict[str, _RowSource] = {
    "sentences": _RowSource(lambda view: enumerate(view.sentences), linguistic.sentence_rows),
    "tokens": _RowSource(lambda view: [view.doc], linguistic.token_rows),
    "entities": _RowSource(lambda view: enumerate(view.doc.ents), linguistic.entity_rows),
    "spans": _RowSource(linguistic.grouped_spans, linguistic.span_rows),
    "categories": _RowSource(lambda view: view.doc.cats.items(), linguistic.category_rows),
    "answers": _RowSource(_rows_of_extension("answers"), generated.answer_rows),
    "answer_candidates": _RowSource(
        _rows_of_extension("answer_candidates"), generated.candidate_rows
    ),
    "answer_entities": _RowSource(generated.texts_with_units, generated.unit_rows),
    "summaries": _RowSource(generated.summaries, generated.summary_rows),
    "summary_sentences": _RowSource(generated.summaries, generated.summary_sentence_rows),
    "extractions": _RowSource(_rows_of_extension("extractions"), generated.extraction_rows),
    "extraction_fields": _RowSource(
        _rows_of_extension("extractions"), generated.extraction_field_rows
    ),
    "classifications": _RowSource(
        _rows_of_extension("classifications"), generated.classification_rows
    ),
    "generations": _RowSource(_rows_of_extension("generations"), generated.generation_rows),
    "chunks": _RowSource(_rows_of_extension("chunks"), generated.chunk_rows),
}
_OF_SPACY = frozenset(["sentences", "tokens", "entities"])
"""Tables whose values are of spaCy's own types: their many rows need no look at each value."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What the corpus says of a document, which a Doc does not know.

    Attributes:
        document_id: Joins its rows.
        position: 0-based place in the corpus.
        source: The file; None for Docs in memory.
        line: 1-based line or row of the file.
        text: The text as read; None where none could be.
        meta: The record's other fields.
        layout: Rows of the table `layout`, without the document's id.
    """

    document_id: str
    position: int
    source: str | None = None
    line: int | None = None
    text: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)
    layout: tuple[Mapping[str, Any], ...] = ()


def doc_rows(doc: Doc, origin: Origin) -> Rows:
    """The rows of one document for every table; it raises nothing, whatever the Doc holds."""
    return _RowMaker(doc, origin).tables()


class _RowMaker:
    """Makes the rows of one document and notes what cannot be made.

    Args:
        doc: The document.
        origin: What the corpus says of it.
    """

    def __init__(self, doc: Doc, origin: Origin) -> None:
        self._view = DocView(doc)
        self._origin = origin
        self._failures: dict[str, RowFailed] = {}

    def tables(self) -> Rows:
        """The rows of every table."""
        rows = {name: self._rows(name, source) for name, source in _SOURCES.items()}
        layout = _RowSource(lambda _: self._origin.layout, lambda _, row: iter([dict(row)]))
        rows["layout"] = self._rows("layout", layout)
        errors = self._rows("errors", _RowSource(_rows_of_extension("errors"), self._error))
        # What is noted last is what the errors themselves are unreadable by.
        errors += [self._failure(error) for error in self._failures.values()]
        try:
            document = checked_row("documents", self._document(errors))
        except Exception as error:
            self._note("documents", error)
            errors.append(self._failure(self._failures["documents"]))
            document = self._bare_document(errors)
        by_table = {"documents": [document], **rows, "errors": errors}
        key = self._origin.document_id
        return {name: [{"document_id": key, **row} for row in by_table[name]] for name in by_table}

    def _rows(self, table: str, source: _RowSource) -> list[Row]:
        """The rows of a table, without those that cannot be made."""
        rows: list[Row] = []
        try:
            items = list(source.items(self._view))
        except Exception as error:
            self._note(table, error)
            return rows
        for item in items:
            try:
                table_rows = list(source.rows(self._view, item))
                rows += (
                    table_rows
                    if table in _OF_SPACY
                    else [checked_row(table, row) for row in table_rows]
                )
            except Exception as error:
                self._note(table, error)
        return rows

    def _note(self, table: str, error: Exception) -> None:
        """Keeps the first failure of a table."""
        if table not in self._failures:
            failed = RowFailed(self._origin.document_id, table, error)
            self._failures[table] = failed
            logger.debug("%s", failed, exc_info=error)

    def _failure(self, error: RowFailed) -> Row:
        """The row of a failure of this class's own."""
        (row,) = self._error(
            self._view,
            {
                "stage": error.stage,
                "component": None,
                "question_id": None,
                "type": error.kind,
                "message": str(error),
                "retryable": error.retryable,
            },
        )
        return row

    def _error(self, view: DocView, error: Mapping[str, Any]) -> Iterator[Row]:
        yield {"source": self._origin.source, "line": self._origin.line, "attempt": 1, **error}

    def _document(self, errors: list[Row]) -> Row:
        doc, text = self._view.doc, self._origin.text
        n_sentences = len(self._view.sentences)
        return {
            **self._bare_document(errors),
            "language": linguistic.value_or_none(doc.lang_),
            "n_tokens": len(doc) if self._view.text == text else None,
            "n_sentences": n_sentences or None,
            "n_entities": len(doc.ents) if len(doc) and doc.has_annotation("ENT_IOB") else None,
            "vector": linguistic.vector(doc) if len(doc) else None,
            "meta": json.dumps(self._origin.meta, ensure_ascii=False, sort_keys=True),
        }

    def _bare_document(self, errors: list[Row]) -> Row:
        """What is known of a document whatever its Doc holds."""
        text = self._origin.text
        return {
            "position": self._origin.position,
            "source": self._origin.source,
            "line": self._origin.line,
            "status": "error" if errors else "ok",
            "text": text,
            "n_chars": None if text is None else len(text),
            "error": errors[0]["message"] if errors else None,
        }
