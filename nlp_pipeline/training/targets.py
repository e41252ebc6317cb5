"""What is right, in the words in which each component asks: pairs of an ask and its answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from spacy.tokens import Doc

from nlp_pipeline.components.base import Ask, LlamaComponent
from nlp_pipeline.components.extractive import NO_ANSWER_KEY
from nlp_pipeline.components.llama_classifier import LlamaClassifier
from nlp_pipeline.components.llama_extractor import LlamaExtractor
from nlp_pipeline.components.llama_summarizer import LlamaSummarizer
from nlp_pipeline.components.question_answering import LlamaQA
from nlp_pipeline.corpus import Record
from nlp_pipeline.errors.training import LabelUnknown
from nlp_pipeline.evaluation.references import References
from nlp_pipeline.generation.constraints.spans import DocumentSpans, spelled

EXTRACTION = "extraction"
"""The field of a record's `meta` with the object that an extractor should find."""


class Target(NamedTuple):
    """An ask and the text that is right after it, without the space that it may begin with."""

    ask: Ask
    text: str


@dataclass
class LeftOut:
    """References that cannot be trained on, for messages.

    Attributes:
        not_in_text: Document and answer, where the answer is no piece of its document.
        too_long: Documents of prompts that do not fit the context.
        choosers: Components that choose sentences and write none, each once.
    """

    not_in_text: list[tuple[str, str]] = field(default_factory=list)
    too_long: list[str] = field(default_factory=list)
    choosers: dict[str, None] = field(default_factory=dict)


def targets(
    pipe: LlamaComponent, doc: Doc, record: Record, references: References, left_out: LeftOut
) -> Iterator[Target]:
    """What a component asks about a Doc, with what it should be told.

    Args:
        pipe: The component; one of a kind that is not known here gives nothing.
        doc: The Doc as the linguistic pipes leave it.
        record: The record that it was made of.
        references: What is right.
        left_out: Gets what cannot be trained on.

    Raises:
        LabelUnknown: The classifier does not have the label.
    """
    for kind, find in _KINDS.items():
        if isinstance(pipe, kind):
            for target in find(pipe, doc, record, references, left_out):
                if target.ask.error is None:
                    yield target
                else:
                    left_out.too_long.append(record.id)


def documents_with_references(
    pipe: LlamaComponent, records: Iterable[Record], references: References
) -> set[str]:
    """The documents that a component could learn from, before anything is asked."""
    documents: set[str] = set()
    if isinstance(pipe, LlamaQA):
        documents = {document for document, _ in references.answers}
    elif isinstance(pipe, LlamaSummarizer):
        documents = set(references.summaries)
    elif isinstance(pipe, LlamaClassifier):
        documents = set(references.labels)
    elif isinstance(pipe, LlamaExtractor):
        documents = {r.id for r in records if isinstance(r.meta.get(EXTRACTION), dict)}
    return documents


def _answers(
    pipe: LlamaQA, doc: Doc, record: Record, references: References, left_out: LeftOut
) -> Iterator[Target]:
    asks = {ask.key: ask for ask in pipe.asks(doc)}
    for key, ask in asks.items():
        right = references.answers.get((record.id, pipe.question_id(key)))
        if right is None or key.endswith(NO_ANSWER_KEY):
            continue
        # The other request of the extractive mode: the same prompt, and the reply alone allowed.
        no_answer = Target(asks.get(key + NO_ANSWER_KEY, ask), pipe.no_answer.strip())
        if not right:
            yield no_answer
            continue
        text, is_whole = _document_text(ask, doc)
        answer = _answer(ask, right, text)
        if answer is not None:
            yield Target(ask, answer)
        elif not is_whole:
            # This piece of the document does not answer the question.
            yield no_answer
        elif ask.error is None:
            left_out.not_in_text.append((record.id, right[0]))


def _document_text(ask: Ask, doc: Doc) -> tuple[str, bool]:
    """What of the document stands in the prompt, and whether that is all of it."""
    if isinstance(ask.constraint, DocumentSpans):
        return ask.constraint.text, ask.constraint.text == doc.text
    prompt = "\n".join(message.content for message in ask.chat.messages)
    return prompt, doc.text.strip() in prompt


def _answer(ask: Ask, right: tuple[str, ...], text: str) -> str | None:
    """The first right answer that may be generated; None where there is none."""
    if isinstance(ask.constraint, DocumentSpans):
        pieces = (_piece(ask.constraint, answer) for answer in right)
        return next((piece for piece in pieces if piece is not None), None)
    return next((a for a in right if a in text), right[0] if not ask.piece else None)


def _piece(spans: DocumentSpans, answer: str) -> str | None:
    """The shortest piece that may be generated and holds an answer, at its first mention."""
    text, piece = spelled(spans.text), spelled(answer.strip())
    place = text.find(piece)
    while piece and place >= 0:
        start = max((s for s in spans.starts if s <= place), default=None)
        end = min((e for e in spans.ends if e >= place + len(piece)), default=None)
        if start is not None and end is not None:
            return text[start:end]
        place = text.find(piece, place + 1)
    return None


def _summary(
    pipe: LlamaSummarizer, doc: Doc, record: Record, references: References, left_out: LeftOut
) -> Iterator[Target]:
    summary = references.summaries.get(record.id)
    if summary is None:
        return
    asks = pipe.asks(doc)
    # What chooses sentences asks for none, or forces each in turn.
    if not asks or any(ask.constraint is not None for ask in asks):
        left_out.choosers[pipe.name] = None
    elif len(asks) == 1:
        yield Target(asks[0], " ".join(summary.split()))
    else:  # nobody has said what the summaries of its chunks are
        left_out.too_long.append(record.id)


def _labels(
    pipe: LlamaClassifier, doc: Doc, record: Record, references: References, left_out: LeftOut
) -> Iterator[Target]:
    right = references.labels.get(record.id)
    if right is None:
        return
    names = [label["name"] for label in pipe.labels]
    if unknown := sorted(right - set(names)):
        raise LabelUnknown(record.id, unknown[0], component=pipe.name, labels=names)
    replies = dict(zip((True, False), pipe.yes_no, strict=True))
    for ask in pipe.asks(doc):
        if pipe.multi_label:
            name, _, reply = ask.key.rpartition("=")
            if reply == replies[name in right]:
                yield Target(ask, reply)
        elif ask.key == min(right, key=names.index):
            yield Target(ask, ask.key)


def _extraction(
    pipe: LlamaExtractor, doc: Doc, record: Record, references: References, left_out: LeftOut
) -> Iterator[Target]:
    value = record.meta.get(EXTRACTION)
    if isinstance(value, dict):
        for ask in pipe.asks(doc):
            yield Target(ask, json.dumps(value, ensure_ascii=False))


_KINDS: dict[type[LlamaComponent], Callable[..., Iterator[Any]]] = {
    LlamaQA: _answers,
    LlamaSummarizer: _summary,
    LlamaClassifier: _labels,
    LlamaExtractor: _extraction,
}
