"""Rows of every table from one Doc: plain Python values, nothing that refers back to spaCy."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spacy.tokens import Doc, Span

Row = dict[str, Any]
Rows = dict[str, list[Row]]


@dataclass(frozen=True, slots=True)
class Origin:
    """What the corpus says of a document, which a Doc does not know.

    Attributes:
        document_id: Joins its rows.
        position: 0-based place in the corpus.
        source: The file; None for Docs in memory.
        line: 1-based line or row of the file.
        text: The text as read; None where none could be.
        meta: The record's other fields.
    """

    document_id: str
    position: int
    source: str | None = None
    line: int | None = None
    text: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)


def doc_rows(doc: Doc, origin: Origin) -> Rows:
    """The rows of one document for every table."""
    sentences = list(doc.sents) if doc.has_annotation("SENT_START") else []
    sentence_ids: list[int | None] = [None] * len(doc)
    for number, sentence in enumerate(sentences):
        sentence_ids[sentence.start : sentence.end] = [number] * len(sentence)
    by_table: dict[str, Iterator[Row]] = {
        "documents": iter([_document(doc, origin, len(sentences) if sentences else None)]),
        "sentences": _sentences(doc, sentences),
        "tokens": _tokens(doc, sentence_ids),
        "entities": _entities(doc, sentence_ids),
        "spans": _spans(doc),
        "categories": ({"label": k, "score": float(v)} for k, v in doc.cats.items()),
        "answers": _answers(doc, sentence_ids),
        "answer_entities": _answer_entities(doc),
        "summaries": _summaries(doc),
        "summary_sentences": _summary_sentences(doc),
        "extractions": _extractions(doc),
        "extraction_fields": _extraction_fields(doc),
        "classifications": _classifications(doc),
        "generations": iter(extension(doc, "generations") or []),
        "chunks": iter(extension(doc, "chunks") or []),
        "errors": _errors(doc, origin),
    }
    key = origin.document_id
    return {name: [{"document_id": key, **row} for row in rows] for name, rows in by_table.items()}


def extension(doc: Doc, name: str) -> Any:
    """The value of a Doc extension, None where it is not registered."""
    return getattr(doc._, name) if doc.has_extension(name) else None


def _vector(item: Doc | Span) -> list[float] | None:
    """The mean word vector, where the pipeline has word vectors."""
    return item.vector.tolist() if item.vocab.vectors_length else None


def _or_none(value: str) -> str | None:
    return value or None


def _document(doc: Doc, origin: Origin, n_sentences: int | None) -> Row:
    errors = extension(doc, "errors") or []
    return {
        "position": origin.position,
        "source": origin.source,
        "line": origin.line,
        "status": "error" if errors else "ok",
        "text": origin.text,
        "language": _or_none(doc.lang_),
        "n_chars": None if origin.text is None else len(origin.text),
        "n_tokens": len(doc) if doc.text == origin.text else None,
        "n_sentences": n_sentences,
        "n_entities": len(doc.ents) if len(doc) and doc.has_annotation("ENT_IOB") else None,
        "vector": _vector(doc) if len(doc) else None,
        "meta": json.dumps(origin.meta, ensure_ascii=False, sort_keys=True),
        "error": errors[0]["message"] if errors else None,
    }


def _place(span: Span) -> Row:
    return {
        "start_char": span.start_char,
        "end_char": span.end_char,
        "start_token": span.start,
        "end_token": span.end,
    }


def _sentences(doc: Doc, sentences: list[Span]) -> Iterator[Row]:
    for number, sentence in enumerate(sentences):
        yield {
            "sentence_id": number,
            **_place(sentence),
            "text": sentence.text,
            "vector": _vector(sentence),
        }


def _tokens(doc: Doc, sentence_ids: list[int | None]) -> Iterator[Row]:
    parsed, tagged_ents = doc.has_annotation("DEP"), doc.has_annotation("ENT_IOB")
    for token in doc:
        yield {
            "token_id": token.i,
            "sentence_id": sentence_ids[token.i],
            "text": token.text,
            "start_char": token.idx,
            "end_char": token.idx + len(token.text),
            "whitespace": token.whitespace_,
            "lemma": _or_none(token.lemma_),
            "pos": _or_none(token.pos_),
            "tag": _or_none(token.tag_),
            "morph": _or_none(str(token.morph)),
            "dep": _or_none(token.dep_) if parsed else None,
            "head": token.head.i if parsed else None,
            "ent_iob": _or_none(token.ent_iob_) if tagged_ents else None,
            "ent_type": _or_none(token.ent_type_),
            "is_stop": token.is_stop,
            "has_vector": token.has_vector if doc.vocab.vectors_length else None,
        }


def _entities(doc: Doc, sentence_ids: list[int | None]) -> Iterator[Row]:
    for number, entity in enumerate(doc.ents):
        yield {
            "entity_id": number,
            "sentence_id": sentence_ids[entity.start],
            "text": entity.text,
            "label": entity.label_,
            **_place(entity),
            "kb_id": _or_none(entity.kb_id_),
        }


def _spans(doc: Doc) -> Iterator[Row]:
    for group in sorted(doc.spans):
        for span in doc.spans[group]:
            yield {
                "group": group,
                "span_id": _or_none(span.id_),
                "text": span.text,
                "label": _or_none(span.label_),
                **_place(span),
            }


def _answers(doc: Doc, sentence_ids: list[int | None]) -> Iterator[Row]:
    for answer in extension(doc, "answers") or []:
        start, end = answer["start_token"], answer["end_token"]
        touched = sentence_ids[start:end] if start is not None else []
        evidence = answer.get("evidence") or sorted({i for i in touched if i is not None})
        yield {**answer, "evidence": evidence}


def _summaries(doc: Doc) -> Iterator[Row]:
    details = extension(doc, "summary_details")
    if details is not None:
        yield details


def _summary_sentences(doc: Doc) -> Iterator[Row]:
    details = extension(doc, "summary_details") or {}
    for sentence in details.get("sentences", ()):
        yield {"component": details["component"], **sentence}


def _answer_entities(doc: Doc) -> Iterator[Row]:
    """Those of the answers, then those of the summary."""
    for answer in extension(doc, "answers") or []:
        key = {"component": answer["component"], "question_id": answer["question_id"]}
        yield from ({**key, **unit} for unit in answer.get("entities", ()))
    for sentence in _summary_sentences(doc):
        key = {"component": sentence["component"], "sentence": sentence["sentence"]}
        yield from ({**key, **unit} for unit in sentence["entities"])


def _extractions(doc: Doc) -> Iterator[Row]:
    for found in extension(doc, "extractions") or []:
        value = found["extraction"]
        yield {**found, "extraction": None if value is None else _json(value)}


def _extraction_fields(doc: Doc) -> Iterator[Row]:
    for found in extension(doc, "extractions") or []:
        for field_ in found["fields"]:
            yield {"component": found["component"], **field_}


def _classifications(doc: Doc) -> Iterator[Row]:
    for found in extension(doc, "classifications") or []:
        yield {**found, "logprobs": _json(found["logprobs"])}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _errors(doc: Doc, origin: Origin) -> Iterator[Row]:
    for error in extension(doc, "errors") or []:
        yield {"source": origin.source, "line": origin.line, "attempt": 1, **error}
