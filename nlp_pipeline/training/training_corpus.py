"""The documents of a training: which are trained on, and which prove what came of it."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nlp_pipeline.corpus import Record
from nlp_pipeline.corpus.record import Question
from nlp_pipeline.errors.training import TooFewDocuments
from nlp_pipeline.run_folder.files import write_text
from nlp_pipeline.training.training_settings import TrainingSettings


@dataclass(frozen=True)
class DocumentSplit:
    """Documents by what they are for. No text stands in two of them.

    Attributes:
        training: Are trained on.
        stopping: Their loss says when to stop.
        held_out: Are answered before and after.
    """

    training: tuple[Record, ...]
    stopping: tuple[Record, ...]
    held_out: tuple[Record, ...]


def split_documents(
    corpus: str, records: Sequence[Record], settings: TrainingSettings
) -> DocumentSplit:
    """Splits by document, with all its questions; the same text under two ids stays together.

    Args:
        corpus: For messages.
        records: Those with references.
        settings: The shares and the seed.

    Raises:
        TooFewDocuments: There would be none to train on.
    """
    texts = sorted({record.text for record in records}, key=lambda t: _rank(t, settings.seed))
    n_held_out = _part(settings.held_out, len(texts))
    n_left = len(texts) - n_held_out
    # Of two documents one is trained on: there is none to spare for when to stop.
    n_stopping = _part(settings.early_stopping, n_left) if n_left > 1 else 0
    if n_left < 1:
        raise TooFewDocuments(corpus, len(texts))
    held_out = set(texts[:n_held_out])
    stopping = set(texts[n_held_out : n_held_out + n_stopping])
    return DocumentSplit(
        tuple(r for r in records if r.text not in held_out | stopping),
        tuple(r for r in records if r.text in stopping),
        tuple(r for r in records if r.text in held_out),
    )


def _part(share: float, n: int) -> int:
    """How many of `n` documents a share is; at least one where there is a share at all."""
    return max(1, round(share * n)) if share else 0


def _rank(text: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}\0{text}".encode("utf-8", "replace")).digest()


def with_unanswerable(records: Iterable[Record], settings: TrainingSettings) -> list[Record]:
    """The records with questions of other documents, until so many have no answer.

    A question is asked of a document that none of its answers stands in.

    Args:
        records: Those that are trained on.
        settings: The share and the seed.
    """
    records = list(records)
    answerable = [(n, q) for n, record in enumerate(records) for q in record.questions if q.answers]
    n_none = sum(q.answers == () for record in records for q in record.questions)
    share = settings.unanswerable
    # Of n questions in all and k added ones, (none + k) / (n + k) shall be the share.
    n_all = len(answerable) + n_none
    n_wanted = round((share * n_all - n_none) / (1 - share))
    numbers = random.Random(f"unanswerable-{settings.seed}")
    numbers.shuffle(answerable)
    added: dict[int, list[Question]] = {}
    for number, question in answerable[: max(0, n_wanted)]:
        target = _other_document(records, number, question, numbers)
        if target is not None:
            added.setdefault(target, []).append(question)
    return [
        with_further_questions(record, added.get(n, []), "other")
        for n, record in enumerate(records)
    ]


def _other_document(
    records: Sequence[Record], own: int, question: Question, numbers: random.Random
) -> int | None:
    """A document with questions of its own that holds no answer to this one."""
    for _ in range(_TRIES):
        number = numbers.randrange(len(records))
        text = records[number].text.casefold()
        holds_one = any(answer.casefold() in text for answer in question.answers or ())
        if number != own and records[number].questions and not holds_one:
            return number
    return None


_TRIES = 20


def with_further_questions(record: Record, questions: Iterable[Question], name: str) -> Record:
    """A record with more questions, each text once, under ids that it has not.

    Args:
        record: With questions of its own, which stay.
        questions: Without answers; their ids do not count.
        name: What their ids begin with.
    """
    ids, texts = {q.id for q in record.questions}, {q.text for q in record.questions}
    further: list[Question] = []
    for number, question in enumerate(questions, 1):
        new_id = f"{name}-{number}"
        while new_id in ids:
            new_id += "-"
        if question.text not in texts:
            ids.add(new_id)
            texts.add(question.text)
            further.append(Question(new_id, question.text, ()))
    return replace(record, questions=(*record.questions, *further))


def write_corpus(records: Iterable[Record], path: Path) -> None:
    """Writes records as a corpus of the package's own form, with their references."""
    lines = [
        {
            "id": record.id,
            "text": record.text,
            "meta": dict(record.meta),
            "questions": [
                {"id": q.id, "text": q.text}
                | ({} if q.answers is None else {"answers": list(q.answers)})
                for q in record.questions
            ],
        }
        for record in records
    ]
    write_text(path, "".join(json.dumps(line, default=str) + "\n" for line in lines))
