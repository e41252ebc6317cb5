"""Rows of what the Llama components have written to a Doc."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from nlp_pipeline.grounding.token_places import realigned
from nlp_pipeline.tables.doc_view import DocView, extension

Row = dict[str, Any]


def answer_rows(view: DocView, answer: Mapping[str, Any]) -> Iterator[Row]:
    """The row of an answer, its tokens and sentences those that its characters have now."""
    row = realigned(view.doc, answer)
    yield {**row, "evidence": _evidence(view, row)}


def candidate_rows(view: DocView, candidate: Mapping[str, Any]) -> Iterator[Row]:
    """The row of a candidate for an answer, its tokens those that its characters have now."""
    yield realigned(view.doc, candidate)


def _evidence(view: DocView, row: Mapping[str, Any]) -> list[int]:
    """The evidence sentences; where none were set at the time, those that hold the piece."""
    starts = row.get("evidence_starts")
    if starts:
        return view.sentences_at(starts)
    if row.get("evidence"):
        return list(row["evidence"])
    start, end = row["start_token"], row["end_token"]
    touched = view.sentence_ids[start:end] if start is not None else []
    return sorted({number for number in touched if number is not None})


def summaries(view: DocView) -> list[dict[str, Any]]:
    """The summaries with their figures; of a Doc of before version 0.2 the only one."""
    details = extension(view.doc, "summary_details")
    return view.annotations("summaries") or ([] if details is None else [details])


def summary_rows(view: DocView, details: Mapping[str, Any]) -> Iterator[Row]:
    """The row of a summary."""
    yield dict(details)


def summary_sentence_rows(view: DocView, details: Mapping[str, Any]) -> Iterator[Row]:
    """The rows of a summary's sentences."""
    for sentence in details.get("sentences", ()):
        row = realigned(view.doc, sentence)
        yield {"component": details["component"], **row, "evidence": _evidence(view, row)}


def texts_with_units(view: DocView) -> list[dict[str, Any]]:
    """The answers, then the summaries."""
    return [*view.annotations("answers"), *summaries(view)]


def unit_rows(view: DocView, item: Mapping[str, Any]) -> Iterator[Row]:
    """The rows of the names, numbers and dates of an answer or a summary."""
    if "question_id" in item:
        key = {"component": item["component"], "question_id": item["question_id"]}
        yield from ({**key, **unit} for unit in item.get("entities", ()))
    for sentence in item.get("sentences", ()):
        key = {"component": item["component"], "sentence": sentence["sentence"]}
        yield from ({**key, **unit} for unit in sentence["entities"])


def extraction_rows(view: DocView, item: Mapping[str, Any]) -> Iterator[Row]:
    """The row of an extracted object."""
    value = item["extraction"]
    yield {**item, "extraction": None if value is None else _json(value)}


def extraction_field_rows(view: DocView, item: Mapping[str, Any]) -> Iterator[Row]:
    """The rows of an extracted object's values."""
    for value in item["fields"]:
        yield {"component": item["component"], **realigned(view.doc, value)}


def classification_rows(view: DocView, item: Mapping[str, Any]) -> Iterator[Row]:
    """The row of a classification."""
    yield {**item, "logprobs": _json(item["logprobs"])}


def generation_rows(view: DocView, item: Mapping[str, Any]) -> Iterator[Row]:
    """The row of a `llama_prompt`."""
    yield dict(item)


def chunk_rows(view: DocView, item: Mapping[str, Any]) -> Iterator[Row]:
    """The row of a chunk, its tokens and sentences those that its characters have now."""
    row = realigned(view.doc, item)
    start, end = row["start_token"], row["end_token"]
    if view.sentences and start is not None and end is not None:
        row["start_sentence"] = view.sentence_ids[start]
        last = view.sentence_ids[end - 1]
        row["end_sentence"] = None if last is None else last + 1
    yield row


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
