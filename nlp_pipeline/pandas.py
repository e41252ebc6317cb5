"""`import nlp_pipeline.pandas` gives every pandas frame `df.nlp.ask("text", ["Who is named?"])`."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import pandas as pd
from spacy.language import Language

from nlp_pipeline.errors.corpus import NoFrameColumn, QuestionsUnusable, rows_without_answer
from nlp_pipeline.pipeline import PipelineSpec, load_pipeline
from nlp_pipeline.runner.row_stream import stream
from nlp_pipeline.tables.rows import Rows

logger = logging.getLogger(__name__)

DETAILS = ("status", "start_char", "end_char", "confidence", "error")
"""Columns of `answers` that `details` adds, each behind its question's name."""


@pd.api.extensions.register_dataframe_accessor("nlp")
class NlpAccessor:
    """What can be asked of a frame's texts.

    Args:
        frame: The frame; it stays as it is.
    """

    def __init__(self, frame: pd.DataFrame) -> None:
        self._frame = frame

    def ask(
        self,
        column: Any,
        questions: Iterable[str] | Mapping[str, str],
        pipeline: str | Language = "en_qa",
        *,
        details: bool = False,
        **options: Any,
    ) -> pd.DataFrame:
        """Asks questions about the text of each row.

        The pipeline stays loaded for the next call with the same one. It is to ask a record's own
        questions (`llama_qa`), as `en_qa` does.

        Args:
            column: The name of the column with the texts.
            questions: The questions, or column names to questions.
            pipeline: As in `stream`.
            details: Adds to each column `who` the columns `who.status` (`ok`, `no_answer` or
                `error`), `who.start_char` and `who.end_char` (where the answer stands in the
                text), `who.confidence` and `who.error`.
            options: As in `stream`: `model`, `settings`, `max_length`, `echo`, …

        Returns:
            A frame with the index of this one, a column a question, named by the question or by
            its key; None where there is no answer. `df.join(df.nlp.ask(…))` puts them beside the
            others, or `pd.concat([df, …], axis=1)` where the index has a label twice.

        Raises:
            NoFrameColumn: There is no column of that name, or there are two.
            QuestionsUnusable: There are none, or one of them is no text or stands there twice.
            ConfigError: As in `stream`.
        """
        named = _named(questions)
        texts = self._texts(column)
        reading = {name: options.pop(name) for name in _READING if name in options}
        nlp = pipeline if isinstance(pipeline, Language) else _pipeline(pipeline, options)
        if isinstance(pipeline, Language):
            reading |= options
        values: dict[str, list[Any]] = {name: [] for name in _columns(named, details=details)}
        failed = 0
        for rows in stream(_records(texts, named), nlp, **reading):
            failed += rows["documents"][0]["status"] == "error"
            for name, value in _answers(rows, named, details=details):
                values[name].append(value)
        if failed:
            logger.warning("%s", rows_without_answer(failed, len(texts)))
        return pd.DataFrame(
            {name: pd.Series(cells, self._frame.index, object) for name, cells in values.items()},
            index=self._frame.index,
        )

    def _texts(self, column: Any) -> list[Any]:
        count = sum(name == column for name in self._frame.columns)
        if count != 1:
            raise NoFrameColumn(column, self._frame.columns, count)
        texts: list[Any] = self._frame[column].tolist()
        return texts


_READING = ("max_length", "batch_size", "on_warning")
"""Options of `stream` that say nothing of the pipeline."""


def _named(questions: Iterable[str] | Mapping[str, str]) -> dict[str, str]:
    """Questions by the names of their columns.

    Raises:
        QuestionsUnusable: They are none.
    """
    if isinstance(questions, str):
        raise QuestionsUnusable("The questions are one text")
    pairs = questions.items() if isinstance(questions, Mapping) else [(q, q) for q in questions]
    named: dict[str, str] = {}
    for name, question in pairs:
        if not (isinstance(name, str) and isinstance(question, str) and question.strip()):
            raise QuestionsUnusable(f"{question!r:.60} is no question")
        if name in named:
            raise QuestionsUnusable(f"'{name:.60}' stands there twice")
        named[name] = question
    if not named:
        raise QuestionsUnusable("There are no questions")
    return named


def _pipeline(name: str, options: dict[str, Any]) -> Language:
    settings = tuple(options.pop("settings", ()))
    return _loaded(PipelineSpec(name, settings=settings, **options))


@lru_cache(maxsize=1)
def _loaded(spec: PipelineSpec) -> Language:
    return load_pipeline(spec)


def _records(texts: list[Any], named: dict[str, str]) -> Iterator[dict[str, Any]]:
    questions = [{"id": f"ask:{n}", "text": text} for n, text in enumerate(named.values())]
    for text in texts:
        yield {"text": text, "questions": questions}


def _columns(named: dict[str, str], *, details: bool) -> Iterator[str]:
    for name in named:
        yield name
        if details:
            yield from (f"{name}.{detail}" for detail in DETAILS)


def _answers(rows: Rows, named: dict[str, str], *, details: bool) -> Iterator[tuple[str, Any]]:
    """The cells of one row of the frame, each with its column."""
    answers = {row["question_id"]: row for row in reversed(rows["answers"])}
    error = rows["documents"][0]["error"]
    for number, name in enumerate(named):
        row = answers.get(f"ask:{number}", {"status": "error", "error": error})
        yield name, row.get("answer")
        if details:
            yield from ((f"{name}.{detail}", row.get(detail)) for detail in DETAILS)
