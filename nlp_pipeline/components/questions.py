"""The questions asked of a Doc: the pipeline's own, then those that ride on its record."""

from __future__ import annotations

from typing import Any

from spacy.tokens import Doc

from nlp_pipeline.components.extensions import record_id
from nlp_pipeline.errors.config import DuplicateQuestion, QuestionsInvalid

FURTHER = "nlp_pipeline.further_questions"
"""The key under which a Doc carries questions that a run was asked later, each with the `component`
that is asked."""


def parse_questions(component: str, questions: Any, prefix: str = "q") -> list[dict[str, str]]:
    """Questions as `{"id", "text"}`; plain texts get the ids q1, q2 and so on.

    Raises:
        QuestionsInvalid: They are not a list of texts or of objects with id and text.
        DuplicateQuestion: Two have one id.
    """
    if not isinstance(questions, list | tuple):
        raise QuestionsInvalid(component, questions, "is not a list")
    parsed = [
        _parse(component, question, f"{prefix}{number}")
        for number, question in enumerate(questions, 1)
    ]
    _refuse_duplicates(parsed, component, None)
    return parsed


def questions_of(component: str, own: list[dict[str, str]], doc: Doc) -> list[dict[str, str]]:
    """The pipeline's own questions, the Doc's, and those that a run was asked later.

    Raises:
        QuestionsInvalid: `doc._.questions` holds something else.
        DuplicateQuestion: Two have one id.
    """
    questions = own + parse_questions(component, doc._.questions, prefix="r")
    questions += [
        {"id": question["id"], "text": question["text"]}
        for question in doc.user_data.get(FURTHER, ())
        if question["component"] == component
    ]
    _refuse_duplicates(questions, component, record_id(doc))
    return questions


def _parse(component: str, question: Any, default_id: str) -> dict[str, str]:
    if isinstance(question, str):
        question = {"id": default_id, "text": question}
    if not isinstance(question, dict) or set(question) != {"id", "text"}:
        raise QuestionsInvalid(component, question, "is no question")
    for key, value in question.items():
        if not isinstance(value, str) or not value.strip():
            raise QuestionsInvalid(component, question, f"has no text under '{key}'")
    return {"id": question["id"], "text": question["text"].strip()}


def _refuse_duplicates(
    questions: list[dict[str, str]], component: str, document_id: str | None
) -> None:
    ids: set[str] = set()
    for question in questions:
        if question["id"] in ids:
            raise DuplicateQuestion(question["id"], component, document_id)
        ids.add(question["id"])
