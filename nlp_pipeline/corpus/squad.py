"""SQuAD's JSON, versions 1.1 and 2.0: one document a paragraph, its questions with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from nlp_pipeline.corpus.corpus_file import CorpusFile
from nlp_pipeline.corpus.json_object import parse_object, parse_value
from nlp_pipeline.corpus.json_stream import JsonBroken, JsonStream, JsonValue
from nlp_pipeline.corpus.notes import Notes
from nlp_pipeline.corpus.read_options import NumberedFields, ReadOptions
from nlp_pipeline.corpus.streams import MAX_LINE_BYTES, checked_start, line_limit, open_stream
from nlp_pipeline.errors.file_formats import BadSquad, InvalidJson
from nlp_pipeline.errors.records import BadRecord, LineTooLong, Place

_START_BYTES = 64


class Paragraph(NamedTuple):
    """A paragraph as it stands in the file.

    Attributes:
        article: 0-based number of its article.
        title: The article's, where that stands in front of its paragraphs.
        content: Its JSON, or why it is none.
    """

    article: int
    title: JsonValue | None
    content: JsonValue | str


def read_squad(file: CorpusFile, options: ReadOptions, notes: Notes) -> Iterator[NumberedFields]:
    """The text of every paragraph with its questions and their reference answers.

    "Line" is the number of the paragraph in the file. A question that stands there twice is
    asked once, with the answers of both. `meta.title` is the article's.

    Raises:
        BadSquad: The file has no articles.
    """
    limit, number = line_limit(options.max_length), 0
    titles = _Titles(file, limit)
    try:
        for number, paragraph in enumerate(_paragraphs(file, limit, notes), 1):
            place = Place(file.source, number)
            title = titles.of(paragraph)
            try:
                yield number, _fields(paragraph.content, title, place, limit, options, notes)
            except BadRecord as error:
                yield number, error
    except JsonBroken as error:
        place = Place(file.source, number + 1)
        yield number + 1, BadSquad(place, f"it is no JSON at byte {error.offset}")


def count_paragraphs(file: CorpusFile) -> Iterator[int]:
    """A 1 for every document that a file holds, and one for its reject where it has one."""
    try:
        for _ in _paragraphs(file, MAX_LINE_BYTES, Notes(lambda _: None)):
            yield 1
    except (BadRecord, JsonBroken):
        yield 1


def _paragraphs(file: CorpusFile, limit: int, notes: Notes) -> Iterator[Paragraph]:
    with _articles(file, limit, notes) as (stream, articles):
        for article in articles:
            if stream.peek() != b"{":
                yield Paragraph(article, None, "the article is no object")
                continue
            title, is_whole = None, False
            for key in stream.members():
                if key == "title":
                    title = stream.value()
                elif key == "paragraphs" and stream.peek() == b"[":
                    is_whole = True
                    for _ in stream.items():
                        yield Paragraph(article, title, stream.value())
            if not is_whole:
                yield Paragraph(article, title, "the article has no array 'paragraphs'")


class _Titles:
    """The titles of articles, wherever they stand: a second reader runs ahead for those behind.

    Args:
        file: The file.
        limit: The most bytes of a title.
    """

    def __init__(self, file: CorpusFile, limit: int) -> None:
        self._titles = enumerate(_titles(file, limit))
        self._article = -1
        self._title: JsonValue | None = None

    def of(self, paragraph: Paragraph) -> JsonValue | None:
        """The title of a paragraph's article; None where it has none."""
        if paragraph.article != self._article:
            self._article, self._title = paragraph.article, paragraph.title
            try:
                while self._title is None:
                    number, title = next(self._titles)
                    if number == paragraph.article:
                        self._title = title
                        break
            except Exception:
                # The end, or what the first reader will meet too: its paragraphs come first.
                self._title = None
        return self._title


def _titles(file: CorpusFile, limit: int) -> Iterator[JsonValue | None]:
    with _articles(file, limit, Notes(lambda _: None)) as (stream, articles):
        for _ in articles:
            title = None
            for key in stream.members() if stream.peek() == b"{" else ():
                if key == "title":
                    title = stream.value()
            yield title


@contextmanager
def _articles(
    file: CorpusFile, limit: int, notes: Notes
) -> Iterator[tuple[JsonStream, Iterator[int]]]:
    """The file and the numbers of its articles; the stream stands at each in turn.

    Raises:
        InvalidUtf8: The file is UTF-16.
    """
    place = Place(file.source, 1)
    with open_stream(file.path, file.compression) as opened:
        first = opened.read(_START_BYTES)
        rest = checked_start(first, place, notes)
        stream = JsonStream(opened, limit, rest, offset=len(first) - len(rest))
        yield stream, _numbers(stream, place)


def _numbers(stream: JsonStream, place: Place) -> Iterator[int]:
    count, is_there = 0, False
    for key in stream.members() if stream.peek() == b"{" else ():
        if key == "data" and stream.peek() == b"[":
            is_there = True
            for _ in stream.items():
                yield count
                count += 1
    if not is_there:
        raise BadSquad(place, "it has no array 'data'")
    if stream.peek():
        raise JsonBroken(stream.offset)


def _fields(
    content: JsonValue | str,
    title: JsonValue | None,
    place: Place,
    limit: int,
    options: ReadOptions,
    notes: Notes,
) -> dict[str, Any]:
    if isinstance(content, str):
        raise BadSquad(place, content)
    if content.data is None:
        raise LineTooLong(place, limit, content.size)
    if not content.data.startswith(b"{"):
        raise BadSquad(place, "the paragraph is no object")
    try:
        paragraph = parse_object(content.data, place, content.offset, notes)
    except InvalidJson as error:
        raise BadSquad(place, f"the paragraph is no JSON at byte {error.byte}") from None
    if "context" not in paragraph:
        raise BadSquad(place, "the paragraph has no 'context'")
    fields = {options.text_key: paragraph["context"], "questions": _questions(paragraph, place)}
    if title is not None and title.data is not None and title.data.startswith(b'"'):
        fields["title"] = parse_value(title.data, place, title.offset, notes)
    return fields


def _questions(paragraph: dict[str, Any], place: Place) -> list[dict[str, Any]]:
    """The questions, each once with all its answers; of equal texts those with ids of their own."""
    questions: dict[tuple[str, Any], dict[str, Any]] = {}
    for item in _list(paragraph, "qas"):
        text = item.get("question") if isinstance(item, dict) else None
        if not isinstance(text, str):
            raise BadSquad(place, "one of its 'qas' has no 'question'")
        name = item.get("id") if isinstance(item.get("id"), str | int) else None
        question = questions.setdefault((text, name), {"text": text, "answers": []})
        if "id" in item:
            question.setdefault("id", item["id"])
        question["answers"] += _answers(item)
    for question in questions.values():
        question["answers"] = list(dict.fromkeys(question["answers"]))
    return list(questions.values())


def _list(value: dict[str, Any], key: str) -> list[Any]:
    items = value.get(key)
    return items if isinstance(items, list) else []


def _answers(item: dict[str, Any]) -> list[str]:
    """None where the question is impossible: its plausible answers are wrong ones."""
    if item.get("is_impossible"):
        return []
    texts = (a.get("text") for a in _list(item, "answers") if isinstance(a, dict))
    return [text for text in texts if isinstance(text, str) and text.strip()]
