"""The questions of a run and their answers in the form of SQuAD 2.0."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from nlp_pipeline.errors.export import answers_left_out_of_squad
from nlp_pipeline.export.annotated_documents import AnnotatedDocument, Row, annotated_documents
from nlp_pipeline.export.job import ExportJob
from nlp_pipeline.run_folder.files import sweep_beside, write_atomically

logger = logging.getLogger(__name__)

VERSION = "v2.0"


def write_squad(job: ExportJob) -> list[Path]:
    """One JSON file: a document is an article of one paragraph, its id the title.

    `answer_start` counts code points, and `text` is the piece of the document there. A question
    that failed, and an answer that does not stand in the text, have no place in this form: they
    are left out, and a warning says how many.
    """
    n_left_out = 0

    def write(file: Path) -> None:
        nonlocal n_left_out
        with file.open("w", encoding="utf-8", newline="\n") as stream:
            stream.write(f'{{"version": "{VERSION}", "data": [')
            n_left_out = _write_articles(stream, annotated_documents(job, ("answers",)))
            stream.write("\n]}\n")

    sweep_beside(job.target)
    write_atomically(job.target, write)
    if n_left_out:
        logger.warning("%s", answers_left_out_of_squad(n_left_out))
    return [job.target]


def _write_articles(stream: IO[str], documents: Iterator[AnnotatedDocument]) -> int:
    """Writes the articles; returns how many questions are left out."""
    n_left_out, separator = 0, "\n"
    for document in documents:
        questions = [_question(document, row) for row in document.rows["answers"]]
        fitting = [question for question in questions if question is not None]
        n_left_out += len(questions) - len(fitting)
        if fitting:
            paragraph = {"context": document.text, "qas": fitting}
            article = {"title": document.id, "paragraphs": [paragraph]}
            # ASCII: a lone surrogate, which a text may hold, is no UTF-8.
            stream.write(separator + json.dumps(article))
            separator = ",\n"
    return n_left_out


def _question(document: AnnotatedDocument, row: Row) -> dict[str, Any] | None:
    """A question with its answer; None where this form has no place for it."""
    start, end = row["start_char"], row["end_char"]
    if row["status"] == "error" or (row["status"] == "ok" and start is None):
        return None
    has_answer = row["status"] == "ok"
    answers = [{"text": document.text[start:end], "answer_start": start}] if has_answer else []
    return {
        "id": json.dumps([document.id, row["component"], row["question_id"]]),
        "question": row["question"],
        "answers": answers,
        "is_impossible": not has_answer,
    }
