"""The documents of a run as annotation tools show them: pieces with labels, and a choice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from nlp_pipeline.export.annotated_documents import AnnotatedDocument, Row, annotated_documents
from nlp_pipeline.export.job import ExportJob
from nlp_pipeline.reviews.review import ANSWERS, CATEGORIES, ENTITIES
from nlp_pipeline.run_folder.review_table import text_digest

MODEL = "nlp-pipeline"
"""Who has predicted, where no answer names a model."""


@dataclass(frozen=True)
class Piece:
    """A piece of a text that has a label.

    Attributes:
        row: Its place, in the columns of its table.
        label: An entity's, or that of a question.
        score: How sure the model was, from 0 to 1; None where it is not known.
    """

    row: Row
    label: str
    score: float | None = None


@dataclass(frozen=True)
class ToolDocument:
    """A document as a tool shows it.

    Attributes:
        id: Its id.
        text: Its text.
        origin: What `nlp-pipeline review` has to know of it when it comes back.
        pieces: Those of each table, `answers` and `entities`.
        questions: The text of each question, by its label.
        labels: All categories, the likeliest first.
        label_score: Of the likeliest.
        model: Who has predicted.
        tokens: Its rows of `tokens`, where they were asked for.
    """

    id: str
    text: str
    origin: dict[str, Any]
    pieces: dict[str, list[Piece]]
    questions: dict[str, str]
    labels: list[str]
    label_score: float | None
    model: str
    tokens: list[Row] = field(default_factory=list)


def tool_documents(job: ExportJob, *, with_tokens: bool = False) -> Iterator[ToolDocument]:
    """The documents of an export that have a text, in the order of the corpus."""
    tables = (*job.tables, "tokens") if with_tokens else job.tables
    for document in annotated_documents(job, tables):
        yield _tool_document(document, job.tables)


def _tool_document(document: AnnotatedDocument, tables: tuple[str, ...]) -> ToolDocument:
    answers = document.rows.get(ANSWERS, [])
    labels = question_labels(answers)
    categories = sorted(document.rows.get(CATEGORIES, []), key=lambda row: -(row["score"] or 0.0))
    pieces = {
        ANSWERS: [
            Piece(row, label, row["confidence"])
            for row, label in zip(answers, labels, strict=True)
            if row["status"] == "ok" and row["start_char"] is not None
        ],
        ENTITIES: [Piece(row, row["label"]) for row in document.rows.get(ENTITIES, [])],
    }
    return ToolDocument(
        document.id,
        document.text,
        {
            "document_id": document.id,
            "text_digest": text_digest(document.text),
            "tables": list(tables),
            "questions": {
                label: [row["component"], row["question_id"]]
                for row, label in zip(answers, labels, strict=True)
            },
        },
        pieces=pieces,
        questions={
            label: row["question"] or row["question_id"]
            for row, label in zip(answers, labels, strict=True)
        },
        labels=[row["label"] for row in categories],
        label_score=_probability(categories[0]["score"]) if categories else None,
        model=next((row["model"] for row in answers if row["model"]), MODEL),
        tokens=document.rows.get("tokens", []),
    )


def _probability(score: float | None) -> float | None:
    """A score where it can be a probability: the tools refuse others."""
    return score if score is not None and 0 <= score <= 1 else None


def question_labels(answers: list[Row]) -> list[str]:
    """A label for each answer of a document, that no entity has: `answer:` and the question's id.

    Where several components were asked one question, the component stands before it.
    """
    counts = Counter(row["question_id"] for row in answers)
    return [
        f"answer:{row['question_id']}"
        if counts[row["question_id"]] == 1
        else f"answer:{row['component']}/{row['question_id']}"
        for row in answers
    ]


@dataclass
class ToolLabels:
    """Every label of an export, in the order in which they come.

    Attributes:
        entities: Labels of entities.
        questions: The labels of questions, each with the question.
        categories: Labels of documents.
    """

    entities: dict[str, None] = field(default_factory=dict)
    questions: dict[str, str] = field(default_factory=dict)
    categories: dict[str, None] = field(default_factory=dict)

    @classmethod
    def of_job(cls, job: ExportJob) -> ToolLabels:
        """Those of an export."""
        labels = cls()
        for document in tool_documents(job):
            labels.entities.update((piece.label, None) for piece in document.pieces[ENTITIES])
            labels.questions.update(document.questions)
            labels.categories.update(dict.fromkeys(sorted(document.labels)))
        return labels
