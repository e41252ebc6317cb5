"""Answers as spans of a Doc: how they are written there, and scored as spaCy scores spans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from spacy.scorer import Scorer
from spacy.tokens import Doc, Span
from spacy.training import Example

from nlp_pipeline.grounding.token_places import span_at, stored_spans

SPANS_KEY = "answers"
"""The group of `doc.spans` that the answers stand in."""

SPAN_LABEL = "ANSWER"


def write_answer_spans(doc: Doc, answers: Sequence[Any]) -> None:
    """Sets a Span for each answer that stands in the text; spans that are no answers stay.

    Args:
        doc: The document.
        answers: All answers about it; a foreign pipe's may be anything.
    """
    stored = stored_spans(doc, doc.spans[SPANS_KEY]) if SPANS_KEY in doc.spans else []
    others = (span_at(doc, span) for span in stored if span.label != SPAN_LABEL)
    spans = [
        Span(doc, a["start_token"], a["end_token"], label=SPAN_LABEL, span_id=str(a["question_id"]))
        for a in answers
        if isinstance(a, Mapping) and a.get("start_token") is not None and "question_id" in a
    ]
    doc.spans[SPANS_KEY] = [*(span for span in others if span is not None), *spans]


def span_scores(examples: Sequence[Example]) -> dict[str, Any]:
    """`spans_answers_p`, `_r`, `_f` and `_per_type`, where a reference Doc has such spans."""
    labelled = [example for example in examples if SPANS_KEY in example.reference.spans]
    if not labelled:
        return {}
    return Scorer.score_spans(
        labelled,
        f"spans_{SPANS_KEY}",
        getter=lambda doc, _: doc.spans.get(SPANS_KEY, []),
        has_annotation=lambda doc: SPANS_KEY in doc.spans,
        allow_overlap=True,
    )
