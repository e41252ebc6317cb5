"""SQuAD's JSON, versions 1.1 and 2.0: one document a paragraph, its questions with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from nlp_pipeline.corpus.notes import Notes
from nlp_pipeline.corpus.read_options import Found, ReadOptions
from nlp_pipeline.corpus.sources import CorpusFile
from nlp_pipeline.corpus.streams import open_stream
from nlp_pipeline.errors.corpus import BadRecord, BadSquad, Place


def read_squad(file: CorpusFile, options: ReadOptions, notes: Notes) -> Iterator[Found]:
    """The text of every paragraph with its questions and their reference answers.

    "Line" is the number of the paragraph in the file. A question that stands there twice is
    asked once, with the answers of both. `meta.title` is the article's.
    """
    try:
        articles = _articles(file)
    except BadSquad as error:
        yield 1, error
        return
    number = 0
    for article in articles:
        for paragraph in _list(article, "paragraphs"):
            number += 1
            place = Place(file.source, number)
            try:
                yield number, _fields(paragraph, article, place, options)
            except BadRecord as error:
                yield number, error


def count_paragraphs(file: CorpusFile) -> int:
    """How many documents a file holds; 1, for its reject, where it cannot be read."""
    try:
        return sum(len(_list(article, "paragraphs")) for article in _articles(file))
    except BadSquad:
        return 1


def _articles(file: CorpusFile) -> list[Any]:
    place = Place(file.source, 1)
    with open_stream(file.path, file.compression) as stream:
        try:
            content = orjson.loads(stream.read())
        except orjson.JSONDecodeError as error:
            raise BadSquad(place, f"it is no JSON ({error})") from None
    articles = content.get("data") if isinstance(content, dict) else None
    if not isinstance(articles, list):
        raise BadSquad(place, "it has no array 'data'")
    return articles


def _list(value: Any, key: str) -> list[Any]:
    items = value.get(key) if isinstance(value, dict) else None
    return items if isinstance(items, list) else []


def _fields(paragraph: Any, article: Any, place: Place, options: ReadOptions) -> dict[str, Any]:
    if not isinstance(paragraph, dict) or "context" not in paragraph:
        raise BadSquad(place, "the paragraph has no 'context'")
    questions: dict[str, dict[str, Any]] = {}
    for item in _list(paragraph, "qas"):
        text = item.get("question") if isinstance(item, dict) else None
        if not isinstance(text, str):
            raise BadSquad(place, "one of its 'qas' has no 'question'")
        question = questions.setdefault(text, {"text": text, "answers": []})
        if "id" in item:
            question.setdefault("id", item["id"])
        question["answers"] += _answers(item)
    for question in questions.values():
        question["answers"] = list(dict.fromkeys(question["answers"]))
    fields = {options.text_key: paragraph["context"], "questions": list(questions.values())}
    title = article.get("title")
    return {**fields, "title": title} if isinstance(title, str) else fields


def _answers(item: dict[str, Any]) -> list[str]:
    """None where the question is impossible: its plausible answers are wrong ones."""
    if item.get("is_impossible"):
        return []
    found = (a.get("text") for a in _list(item, "answers") if isinstance(a, dict))
    return [text for text in found if isinstance(text, str) and text.strip()]
