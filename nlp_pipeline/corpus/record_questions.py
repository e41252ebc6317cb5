"""The questions that ride on a record."""

from __future__ import annotations

from typing import Any

from nlp_pipeline.corpus.json_object import type_name
from nlp_pipeline.corpus.record import Question
from nlp_pipeline.errors.escapes import escaped
from nlp_pipeline.errors.records import BadQuestions, Place


def parse_questions(value: Any, place: Place) -> tuple[Question, ...]:
    """Questions from what a record holds.

    Args:
        value: An array of strings and of objects with `text` and, if they like, `id`; null for
            none; `answers`, an array of strings, is what `nlp-pipeline evaluate` compares with.
            A question without an id is `r1`, `r2`, … by its position.
        place: Where the record stands, for messages.

    Raises:
        BadQuestions: Anything else, an empty question or id, or one that stands there twice; the
            same question may be asked under several ids.
    """
    if value is None:
        return ()
    if type(value) is not list:
        raise BadQuestions(place, f"they are {type_name(value)}, not an array")
    questions = tuple(_question(item, position, place) for position, item in enumerate(value, 1))
    ids: set[str] = set()
    texts: dict[str, bool] = {}
    for item, question in zip(value, questions, strict=True):
        named = type(item) is dict and item.get("id") is not None
        if question.id in ids:
            raise BadQuestions(place, f"the id '{escaped(question.id)}' stands there twice")
        told_apart = named and texts.get(question.text, True)
        if question.text in texts and not told_apart:
            raise BadQuestions(place, f"the text '{escaped(question.text)}' stands there twice")
        ids.add(question.id)
        texts[question.text] = named
    return questions


def _question(item: Any, position: int, place: Place) -> Question:
    fields = item if type(item) is dict else {"text": item}
    if unknown := [key for key in fields if key not in ("id", "text", "answers")]:
        raise BadQuestions(place, f"number {position} has the unknown key '{escaped(unknown[0])}'")
    text, id = fields.get("text"), fields.get("id")
    if type(text) is not str:
        description = "no 'text'" if "text" not in fields else f"{type_name(text)} as its text"
        raise BadQuestions(place, f"number {position} has {description}")
    if not text.strip():
        raise BadQuestions(place, f"number {position} is empty")
    if id is None:
        return Question(f"r{position}", text, _answers(fields, position, place))
    if type(id) not in (str, int) or not str(id).strip():
        description = "an empty id" if id == "" or type(id) is str else f"{type_name(id)} as its id"
        raise BadQuestions(place, f"number {position} has {description}")
    return Question(str(id), text, _answers(fields, position, place))


def _answers(fields: dict[str, Any], position: int, place: Place) -> tuple[str, ...] | None:
    """The reference answers; null is the same as none given."""
    answers = fields.get("answers")
    if answers is None:
        return None
    if type(answers) is not list or not all(type(a) is str and a.strip() for a in answers):
        raise BadQuestions(place, f"number {position} has 'answers' that are no array of texts")
    return tuple(answers)
