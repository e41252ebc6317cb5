"""Questions as the document was read: what is looked for, and what an answer is checked by."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from nlp_pipeline.chunking import Query
from nlp_pipeline.components.answerability import AskedWords
from nlp_pipeline.grounding.answer_reader import Reader
from nlp_pipeline.grounding.text import terms

_LIMIT = 8192
"""Questions that are remembered: more than wait for their answers at any time."""


@dataclass(frozen=True, slots=True)
class ReadQuestion:
    """What was read of a question, as plain texts and numbers, which no memory zone takes away.

    Attributes:
        query: What a document is searched for.
        terms: Its content words with their weights (`grounding.text.terms`).
        asked: What is looked for to tell whether the document holds an answer.
    """

    query: Query
    terms: dict[str, float]
    asked: AskedWords


class QuestionReader:
    """Reads questions with the pipes that read the document, each text once.

    Args:
        reader: Runs the linguistic pipes.
    """

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self._questions: OrderedDict[tuple[str, str], ReadQuestion] = OrderedDict()

    def read_together(self, questions: Iterable[str], lang: str) -> None:
        """Reads several questions at once, for whoever asks for one of them by `read`."""
        unread = dict.fromkeys(q for q in questions if (q, lang) not in self._questions)
        if not unread:
            return
        for question, doc in zip(unread, self.reader.read(list(unread), lang), strict=True):
            self._questions[question, lang] = ReadQuestion(
                Query.of(doc), terms(doc), AskedWords.of(doc)
            )
        while len(self._questions) > max(_LIMIT, len(unread)):
            self._questions.popitem(last=False)

    def read(self, question: str, lang: str) -> ReadQuestion:
        """What was read of a question.

        Args:
            question: Its text.
            lang: The code of the language in which it is read where there is no pipeline.
        """
        self.read_together([question], lang)
        return self._questions[question, lang]

    def __reduce__(self) -> tuple[Any, ...]:
        return QuestionReader, (self.reader,)
