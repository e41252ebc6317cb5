"""The documents of a run with what was found in each, for the forms of annotation tools."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from nlp_pipeline.export.job import ExportJob

Row = dict[str, Any]

COLUMNS: dict[str, list[str]] = {
    "documents": ["document_id", "text", "language"],
    "tokens": [
        *("document_id", "sentence_id", "text", "start_char", "end_char", "whitespace", "lemma"),
        *("pos", "tag", "morph", "dep", "head", "ent_iob"),
    ],
    "entities": [
        *("document_id", "text", "label", "start_char", "end_char", "start_token", "end_token"),
    ],
    "spans": [
        *("document_id", "group", "span_id", "label", "start_char", "end_char"),
        *("start_token", "end_token"),
    ],
    "categories": ["document_id", "label", "score"],
    "answers": [
        *("document_id", "component", "question_id", "question", "answer", "status"),
        *("confidence", "start_char", "end_char", "start_token", "end_token", "model"),
    ],
}
"""What is read of each table."""


@dataclass(frozen=True)
class AnnotatedDocument:
    """A document that has a text.

    Attributes:
        id: Its id.
        text: Its text.
        language: The code of its language; None where no pipeline has read it.
        rows: Its rows of the tables that were asked for.
    """

    id: str
    text: str
    language: str | None
    rows: dict[str, list[Row]] = field(default_factory=dict)


def annotated_documents(job: ExportJob, tables: Sequence[str]) -> Iterator[AnnotatedDocument]:
    """The documents of an export that have a text, in the order of the corpus.

    Args:
        job: What is exported; with `reviewed` as people have corrected it.
        tables: The tables whose rows are wanted, beside `documents`.
    """
    for part in job.joined_parts({name: COLUMNS[name] for name in ("documents", *tables)}):
        documents = {
            row["document_id"]: AnnotatedDocument(
                row["document_id"], row["text"], row["language"], rows={n: [] for n in tables}
            )
            for row in part["documents"].to_pylist()
            if row["text"] is not None
        }
        for table in tables:
            for row in part[table].to_pylist():
                if row["document_id"] in documents:
                    documents[row["document_id"]].rows[table].append(row)
        yield from documents.values()
