"""The sentences of a document that bear a generated text out."""

from __future__ import annotations

from collections.abc import Mapping

from nlp_pipeline.grounding.align import Grounding
from nlp_pipeline.grounding.text import TextIndex

THRESHOLD = 0.5
"""The least score of an evidence sentence."""

LIMIT = 3
"""Evidence sentences at most, beyond those that hold the aligned piece."""

_QUESTION_WEIGHT = 0.5


def rank_evidence(
    index: TextIndex,
    grounding: Grounding,
    answer: Mapping[str, float],
    question: Mapping[str, float],
) -> list[int]:
    """Numbers of the evidence sentences, best first.

    The sentences that the aligned piece touches come first. Then those with a score of at least
    `THRESHOLD`: the share of the answer's and the question's terms (lemmas that are no stop
    words; a word of an entity, a name or a number counts twice, a term of the question half)
    that the sentence has. A sentence that shares nothing with the answer is none. Of equal
    scores the earlier sentence comes first.

    Args:
        index: The document.
        grounding: Where the answer stands.
        answer: Its terms.
        question: The question's; none for a summary.
    """
    candidates: list[int] = []
    if grounding.start_token is not None and grounding.end_token is not None:
        touched = index.sentence_of[grounding.start_token : grounding.end_token]
        candidates = sorted({number for number in touched if number is not None})
    weights = {term: weight * _QUESTION_WEIGHT for term, weight in question.items()}
    weights.update(answer)
    total = sum(weights.values())
    scored = []
    for number, sentence_terms in enumerate(index.sentence_terms if total else ()):
        if number in candidates or not any(term in sentence_terms for term in answer):
            continue
        score = sum(weight for term, weight in weights.items() if term in sentence_terms) / total
        if score >= THRESHOLD:
            scored.append((-score, number))
    return candidates + [number for _, number in sorted(scored)[:LIMIT]]
