"""Questions without an answer that are hard to tell from those with one: altered ones."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from spacy.tokens import Doc

from nlp_pipeline.corpus import Record
from nlp_pipeline.corpus.record import Question
from nlp_pipeline.pipeline import split
from nlp_pipeline.runner.annotate import annotate
from nlp_pipeline.training.question_changes import WEIGHTS, Words, changes
from nlp_pipeline.training.training_corpus import with_further_questions
from nlp_pipeline.training.training_settings import TrainingSettings

if TYPE_CHECKING:
    from spacy.language import Language

_BATCH = 64


def with_altered_questions(
    records: Sequence[Record], nlp: Language, settings: TrainingSettings
) -> list[Record]:
    """The records with some of their answerable questions a second time, altered.

    An altered question has no answer. Which are altered and how follows from the seed, the ids of
    document and question, and the words of all documents.

    Args:
        records: Those that are trained on.
        nlp: The pipeline: its linguistic pipes read documents and questions.
        settings: The share of questions, and the seed.
    """
    if not settings.altered_questions:
        return list(records)
    own = [Words.of(doc) for doc in _read(nlp, [record.text for record in records])]
    corpus = Words.joined(own)
    altered: list[Record] = []
    for record, words in zip(records, own, strict=True):
        sample = [q for q in record.questions if q.answers and _is_drawn(record, q, settings)]
        docs = _read(nlp, [question.text for question in sample])
        texts = [
            _altered(doc, record, words, corpus, random.Random(_key(record, question, settings)))
            for question, doc in zip(sample, docs, strict=True)
        ]
        questions = [Question("", text, ()) for text in texts if text is not None]
        altered.append(with_further_questions(record, questions, "altered"))
    return altered


def _read(nlp: Language, texts: Sequence[str]) -> Iterator[Doc]:
    """The texts as the linguistic pipes read them; an empty Doc where these fail."""
    linguistic, _ = split(nlp)
    records = [Record(number, str(number), text) for number, text in enumerate(texts)]
    for item in annotate(nlp, records, pipes=linguistic, batch_size=_BATCH):
        yield item.doc


def _key(record: Record, question: Question, settings: TrainingSettings) -> str:
    return f"altered-{settings.seed}-{record.id}-{question.id}"


def _is_drawn(record: Record, question: Question, settings: TrainingSettings) -> bool:
    number = random.Random(f"drawn-{_key(record, question, settings)}").random()
    return number < settings.altered_questions


def _altered(
    doc: Doc, record: Record, own: Words, corpus: Words, numbers: random.Random
) -> str | None:
    """The question altered in one way; None where it allows none."""
    ways = changes(doc, record.text, own, corpus, numbers)
    if not ways:
        return None
    way = numbers.choices(list(ways), [WEIGHTS[name] for name in ways])[0]
    return numbers.choice(ways[way])
