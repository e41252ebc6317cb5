"""Rows of what the linguistic pipes have found."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from nlp_pipeline.grounding.token_places import StoredSpan, realigned, stored_spans, tokens_at
from nlp_pipeline.tables.doc_view import DocView, extension

if TYPE_CHECKING:
    from spacy.tokens import Doc, Span

Row = dict[str, Any]

_ANSWERS = "answers"
"""The group of spans that stand for answers."""


def value_or_none(value: str) -> str | None:
    """A string of spaCy's, which has none as an empty one."""
    return value or None


def vector(item: Doc | Span) -> list[float] | None:
    """The mean word vector, where the pipeline has word vectors."""
    return item.vector.tolist() if item.vocab.vectors_length else None


def _place(span: Span) -> Row:
    return {
        "start_char": span.start_char,
        "end_char": span.end_char,
        "start_token": span.start,
        "end_token": span.end,
    }


def sentence_rows(view: DocView, item: tuple[int, Span]) -> Iterator[Row]:
    """The row of a numbered sentence."""
    number, sentence = item
    yield {
        "sentence_id": number,
        **_place(sentence),
        "text": sentence.text,
        "vector": vector(sentence),
    }


def token_rows(view: DocView, doc: Doc) -> Iterator[Row]:
    """The rows of all tokens."""
    parsed, tagged_ents = doc.has_annotation("DEP"), doc.has_annotation("ENT_IOB")
    sentence_ids, vectors = view.sentence_ids, doc.vocab.vectors_length
    for token in doc:
        yield {
            "token_id": token.i,
            "sentence_id": sentence_ids[token.i],
            "text": token.text,
            "start_char": token.idx,
            "end_char": token.idx + len(token.text),
            "whitespace": token.whitespace_,
            "lemma": token.lemma_ or None,
            "pos": token.pos_ or None,
            "tag": token.tag_ or None,
            "morph": str(token.morph) or None,
            "dep": (token.dep_ or None) if parsed else None,
            "head": token.head.i if parsed else None,
            "ent_iob": (token.ent_iob_ or None) if tagged_ents else None,
            "ent_type": token.ent_type_ or None,
            "is_stop": token.is_stop,
            "has_vector": token.has_vector if vectors else None,
        }


def entity_rows(view: DocView, item: tuple[int, Span]) -> Iterator[Row]:
    """The row of a numbered entity."""
    number, entity = item
    yield {
        "entity_id": number,
        "sentence_id": view.sentence_ids[entity.start],
        "text": entity.text,
        "label": entity.label_,
        **_place(entity),
        "kb_id": value_or_none(entity.kb_id_),
    }


def grouped_spans(view: DocView) -> Iterator[tuple[str, StoredSpan, str | None]]:
    """The spans of all groups, each with its group and, for an answer, the component."""
    components = _answer_components(view)
    for group in sorted(view.doc.spans):
        for span in stored_spans(view.doc, view.doc.spans[group]):
            key = (span.id, *tokens_at(view.doc, span.start_char, span.end_char).values())
            names = components.get(key) if group == _ANSWERS else None
            yield group, span, names.pop(0) if names else None


def _answer_components(view: DocView) -> dict[tuple[Any, ...], list[str]]:
    """The components whose answers have a question's id and stand at certain tokens."""
    components: dict[tuple[Any, ...], list[str]] = defaultdict(list)
    answers = extension(view.doc, "answers")
    for answer in answers if isinstance(answers, list) else ():
        if isinstance(answer, Mapping) and "component" in answer:
            place = realigned(view.doc, answer)
            key = (answer.get("question_id"), place["start_token"], place["end_token"])
            components[key].append(answer["component"])
    return components


def span_rows(view: DocView, item: tuple[str, StoredSpan, str | None]) -> Iterator[Row]:
    """The row of a span of a group."""
    group, span, component = item
    yield realigned(
        view.doc,
        {
            "group": group,
            "span_id": value_or_none(span.id),
            "component": component,
            "text": view.text[span.start_char : span.end_char],
            "label": value_or_none(span.label),
            "start_char": span.start_char,
            "end_char": span.end_char,
        },
    )


def category_rows(view: DocView, item: tuple[str, float]) -> Iterator[Row]:
    """The row of a label of `doc.cats`."""
    label, score = item
    yield {"label": label, "score": float(score)}
