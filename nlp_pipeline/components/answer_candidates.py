"""The candidates for an answer, ranked by what the Llama and spaCy know of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spacy.tokens import Span

from nlp_pipeline.chunking import Passage, Query
from nlp_pipeline.components.answer_features import (
    DocFeatures,
    Mention,
    weighted,
)


@dataclass(frozen=True)
class AnswerCandidate:
    """A piece of the document that may be the answer.

    Attributes:
        span: It.
        features: By `answer_features.FEATURE_NAMES`.
        score: What they count together.
    """

    span: Span
    features: Mapping[str, float]
    score: float


def rank_candidates(
    doc_features: DocFeatures,
    mentions: Sequence[Mention],
    passage: Passage,
    query: Query,
    weights: Mapping[str, float],
) -> list[AnswerCandidate]:
    """The candidates for the answer to a question, best first.

    They are the texts that the search has ended, and the entities and noun chunks of what was
    asked about: the Llama is better at telling where the answer is than where it begins and ends,
    spaCy is the other way round. No further Llama time is spent.

    Args:
        doc_features: Of the document.
        mentions: Of the search's texts, best first; none gives no candidates.
        passage: What of the document was asked about.
        query: Of the question.
        weights: What each feature counts.

    Returns:
        Of equal scores the one that the search found first, then the one that stands first.
    """
    if not mentions:
        return []
    candidates = {(mention.start, mention.end): mention for mention in mentions}
    for first, last in passage.tokens:
        for place in doc_features.phrases(first, last):
            candidates.setdefault(place, Mention(*place, None))
    rows = doc_features.rows(list(candidates.values()), query)
    ranked = [
        AnswerCandidate(doc_features.doc[start:end], features, weighted(features, weights))
        for (start, end), features in zip(candidates, rows, strict=True)
    ]
    return sorted(ranked, key=lambda candidate: -candidate.score)


def candidate_rows(
    component: str, question_id: str, candidates: Sequence[AnswerCandidate]
) -> list[dict[str, Any]]:
    """The candidates for one answer as `doc._.answer_candidates` has them.

    Args:
        component: The name of the component that asked.
        question_id: Of the question.
        candidates: Best first.
    """
    return [
        {
            "component": component,
            "question_id": question_id,
            "rank": rank,
            "text": candidate.span.text,
            "score": candidate.score,
            "start_char": candidate.span.start_char,
            "end_char": candidate.span.end_char,
            **candidate.features,
        }
        for rank, candidate in enumerate(candidates)
    ]
