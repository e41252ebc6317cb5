"""What a corpus says is right: reference answers, summaries and labels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from nlp_pipeline.corpus import Record, Reject, read_corpus
from nlp_pipeline.corpus.data_set import is_data_set
from nlp_pipeline.corpus.remote_store import RemoteStore
from nlp_pipeline.corpus.sources import find_sources
from nlp_pipeline.errors.evaluation import NoReferences, NothingMeasured

Answers = tuple[str, ...]
"""Every acceptable answer to a question; none where the document holds no answer."""

FieldKey = tuple[str, str | None, str | None]
"""Document, component and field of an extracted value."""

EntityKey = tuple[int, int, str]
"""First character, one past the last, label."""


@dataclass
class References:
    """The references of a corpus.

    Attributes:
        answers: Per document and question id.
        summaries: Per document.
        labels: Per document, the labels that are right.
        wrong_answers: Answers that a person has rejected without saying what is right, None for
            having none.
        wrong_labels: Per document, the labels that are not right, where nothing else is known.
        entities: Per document entities that a person has judged: first character, one past the
            last, label, and whether they are right.
        values: What a person has said that an extracted value should be; None for nothing.
        wrong_values: Values that a person has rejected without saying what is right.
    """

    answers: dict[tuple[str, str], Answers] = field(default_factory=dict)
    summaries: dict[str, str] = field(default_factory=dict)
    labels: dict[str, frozenset[str]] = field(default_factory=dict)
    wrong_answers: dict[tuple[str, str], tuple[str | None, ...]] = field(default_factory=dict)
    wrong_labels: dict[str, frozenset[str]] = field(default_factory=dict)
    entities: dict[str, dict[EntityKey, bool]] = field(default_factory=dict)
    values: dict[FieldKey, str | None] = field(default_factory=dict)
    wrong_values: dict[FieldKey, str | None] = field(default_factory=dict)

    def __bool__(self) -> bool:
        wrong = self.wrong_answers or self.wrong_labels or self.wrong_values
        right = self.answers or self.summaries or self.labels or self.values
        return bool(right or wrong or self.entities)


def read_references(items: Iterable[Record | Reject]) -> References:
    """Takes the references out of a corpus.

    A record names them with its questions (`answers`, a list; an empty one says that the text
    holds no answer) or in its `meta`: `answers` (question id to a text, a list of texts, or
    null), `summary` (a text), `label` (a text) or `labels` (a list of texts). What is of another
    form is no reference.
    """
    references = References()
    for item in items:
        if isinstance(item, Record):
            _take(references, item)
    return references


def check_references(
    corpus: str, *, with_rouge: bool = True, allow_private: bool = False, **reading: Any
) -> None:
    """Looks whether a corpus says what is right, before hours go into running it.

    Args:
        corpus: The corpus. Standard input, which can be read once, is not looked at.
        with_rouge: Whether summaries are scored.
        allow_private: As for `read_corpus`.
        **reading: As for `read_corpus`.

    Raises:
        NoReferences: It says nothing.
        NothingMeasured: It has references for summaries alone, and they are not scored.
    """
    store = RemoteStore(allow_private=allow_private)
    if corpus == "-" or is_gold(corpus, store):
        return
    references = References()
    for item in read_corpus(corpus, on_warning=lambda _: None, store=store, **reading):
        if isinstance(item, Record):
            _take(references, item)
        if references.answers or references.labels or (with_rouge and references.summaries):
            return
    if not references:
        raise NoReferences(corpus)
    raise NothingMeasured(corpus)


def is_gold(corpus: str, store: RemoteStore) -> bool:
    """Whether a corpus holds annotation that is right, which no record tells.

    Args:
        corpus: The corpus.
        store: Opens URLs.
    """
    if is_data_set(corpus):
        return False
    return any(file.format == "conllu" for file in find_sources(corpus, store=store).files)


def _take(references: References, record: Record) -> None:
    answers = record.meta.get("answers")
    if isinstance(answers, dict):
        for question_id, value in answers.items():
            texts = _texts(value)
            if texts is not None:
                references.answers[record.id, str(question_id)] = texts
    for question in record.questions:
        if question.answers is not None:
            references.answers[record.id, question.id] = question.answers
    summary = record.meta.get("summary")
    if isinstance(summary, str) and summary.strip():
        references.summaries[record.id] = summary
    labels = _texts(record.meta.get("labels", record.meta.get("label")))
    if labels:
        references.labels[record.id] = frozenset(labels)


def _texts(value: Any) -> Answers | None:
    """A text, a list of texts or null as texts; None for anything else."""
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    return None
