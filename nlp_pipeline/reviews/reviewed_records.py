"""The documents of a run that people have judged, as records with references: what to train on."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from nlp_pipeline.corpus import Record
from nlp_pipeline.corpus.record import Question
from nlp_pipeline.errors.review import NoReviews
from nlp_pipeline.reviews.extracted_objects import reviewed_object
from nlp_pipeline.reviews.review import ANSWERS, CATEGORIES, EXTRACTION_FIELDS, REJECT, Review
from nlp_pipeline.reviews.run_reviews import run_reviews
from nlp_pipeline.run_folder.files import Format, file_digest
from nlp_pipeline.run_folder.read import parts_of, run_manifest
from nlp_pipeline.run_folder.receipts import part_file
from nlp_pipeline.run_folder.review_table import text_digest
from nlp_pipeline.tables.schemas import REVIEWS

_COLUMNS = {
    "documents": ("document_id", "position", "source", "line", "text", "meta"),
    "answers": ("document_id", "question_id", "question"),
    "extractions": ("document_id", "extraction"),
    "extraction_fields": ("document_id", "field", "value"),
}


def reviewed_records(run: Path, asked_ids: Collection[str] = ()) -> list[Record]:
    """The documents whose answers, labels or objects people have judged, in corpus order.

    An answer that was rejected without a better one says nothing of what is right, and a review
    of a text that has changed nothing of the new one: both are left out. An object counts where
    all of its values were judged, and only where the run has one of a document: who reads
    `meta.extraction` does not know of several.

    Args:
        run: The run's folder.
        asked_ids: Ids of questions that are asked of every document anyway: their references
            stand in the record's meta, those of others with the question, which rides on it.

    Raises:
        RunNotFound: There is no run.
        NoReviews: Nobody has said of any of its answers or labels what is right.
    """
    by_document: dict[str, list[Review]] = defaultdict(list)
    for review in run_reviews(run):
        is_said = review.verdict != REJECT and review.target in (ANSWERS, CATEGORIES)
        if is_said or review.target == EXTRACTION_FIELDS:
            by_document[review.document_id].append(review)
    records: list[Record] = []
    for part in parts_of(run, _COLUMNS) if by_document else ():
        questions = {
            (row["document_id"], row["question_id"]): row["question"]
            for row in part["answers"].to_pylist()
        }
        objects = _objects(part, by_document)
        for row in part["documents"].to_pylist():
            document_id, digest = row["document_id"], text_digest(row["text"] or "")
            reviews = [r for r in by_document[document_id] if r.text_digest == digest]
            of_values = [r for r in reviews if r.target == EXTRACTION_FIELDS]
            others = [r for r in reviews if r.target != EXTRACTION_FIELDS]
            extraction = None
            if of_values and document_id in objects:
                extraction = reviewed_object(*objects[document_id], of_values)
            if others or extraction is not None:
                records.append(_record(row, others, questions, asked_ids, extraction))
    if not records:
        raise NoReviews(str(run))
    return records


def _objects(
    part: Mapping[str, pa.Table], document_ids: Collection[str]
) -> dict[str, tuple[str, dict[str, str | None]]]:
    """The only object of each of some documents as JSON, and its values by their fields."""
    texts: dict[str, list[str]] = defaultdict(list)
    values: dict[str, dict[str, str | None]] = defaultdict(dict)
    for row in part["extractions"].to_pylist():
        if row["document_id"] in document_ids and row["extraction"] is not None:
            texts[row["document_id"]].append(row["extraction"])
    for row in part["extraction_fields"].to_pylist():
        values[row["document_id"]][row["field"]] = row["value"]
    return {
        name: (objects[0], values[name]) for name, objects in texts.items() if len(objects) == 1
    }


def review_digests(run: Path) -> dict[str, str]:
    """A digest of all that `reviewed_records` depends on, by the name of its file.

    The reviews hold the digests of their texts.
    """
    format_: Format = run_manifest(run)["format"]
    file = part_file(run, REVIEWS, 0, format_)
    return {str(file.relative_to(run)): file_digest(file)}


def _record(
    row: Mapping[str, Any],
    reviews: Iterable[Review],
    questions: Mapping[tuple[str, str], str | None],
    asked_ids: Collection[str],
    extraction: Any,
) -> Record:
    answers: dict[str, dict[str, None]] = {}
    labels: dict[str, None] = {}
    for review in reviews:
        if review.target == CATEGORIES:
            labels[str(review.text)] = None
            continue
        texts = answers.setdefault(str(review.question_id), {})
        if review.answer_is_right is not None:
            texts[review.answer_is_right] = None
    meta = {**json.loads(row["meta"] or "{}"), "answers": {}}
    if labels:
        meta["labels"] = list(labels)
    if extraction is not None:
        meta["extraction"] = extraction
    riders: list[Question] = []
    for question_id, texts in answers.items():
        question = questions.get((row["document_id"], question_id))
        if question_id in asked_ids:
            meta["answers"][question_id] = list(texts)
        elif question is not None:
            riders.append(Question(question_id, question, answers=tuple(texts)))
    return Record(
        row["position"],
        row["document_id"],
        text=row["text"],
        meta=meta,
        questions=tuple(riders),
        source=row["source"] or "-",
        line=row["line"] or 1,
    )
