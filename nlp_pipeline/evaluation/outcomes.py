"""One outcome per question that has a reference: what was said, how right it is, of what kind."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from nlp_pipeline.components.answer_overlap import exact_match, f1
from nlp_pipeline.evaluation.references import Answers, References

OTHER = "other"

_TYPES = {
    "how many": ("how many", "how much", "combien"),
    "who": ("who", "whom", "whose", "qui"),
    "when": ("when", "quand"),
    "where": ("where", "où"),
    "why": ("why", "pourquoi"),
    "which": ("which", "quel", "quelle", "quels", "quelles", "lequel", "laquelle"),
    "what": ("what", "que", "quoi", "qu"),
    "how": ("how", "comment"),
}
_WORDS = {word: kind for kind, words in _TYPES.items() for word in words}
# Longer ones first, so that "how many" is not a "how".
_FIRST = re.compile(
    r"\b(" + "|".join(sorted(_WORDS, key=len, reverse=True)) + r")\b", re.IGNORECASE
)

_LENGTHS = (128, 512, 2048)
LENGTHS = ("under 128 tokens", "128 to 511", "512 to 2047", "2048 or more")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a question.

    Attributes:
        document_id: The document.
        question_id: The question.
        kind: Its type, by the first question word in it: `who`, `when`, `how many`, …
        length: The length of the document, as one of `LENGTHS`.
        answerable: Whether the document holds an answer.
        status: `ok`, `no_answer` or `error`.
        score: Log-probability of the reply as a whole; None where none is known.
        exact_match: 0 or 1.
        f1: From 0 to 1.
        confidence: Probability of being right, as the component gives it; None where it does not.
    """

    document_id: str
    question_id: str
    kind: str
    length: str
    answerable: bool
    status: str
    score: float | None
    exact_match: float
    f1: float
    confidence: float | None = None


def question_type(question: str) -> str:
    """By the first question word of English or French; `other` without one."""
    match = _FIRST.search(question)
    return _WORDS[match[1].lower()] if match else OTHER


def length_class(n_tokens: int | None) -> str:
    """One of `LENGTHS`, by the number of spaCy tokens."""
    return LENGTHS[sum((n_tokens or 0) >= limit for limit in _LENGTHS)]


def outcomes(
    rows: Iterable[Mapping[str, Any]], references: References, lengths: Mapping[str, int | None]
) -> list[Outcome]:
    """The outcomes of the rows of `answers`; questions without a reference are left out.

    Args:
        rows: Rows of the table `answers`.
        references: What is right.
        lengths: Tokens of each document.
    """
    results: list[Outcome] = []
    for row in rows:
        right = references.answers.get((row["document_id"], row["question_id"]))
        if right is not None:
            results.append(_outcome(row, right, lengths.get(row["document_id"])))
    return results


def _outcome(row: Mapping[str, Any], right: Answers, n_tokens: int | None) -> Outcome:
    failed = row["status"] == "error"  # which is not the same as saying that there is no answer
    return Outcome(
        row["document_id"],
        row["question_id"],
        kind=question_type(row["question"]),
        length=length_class(n_tokens),
        answerable=bool(right),
        status=row["status"],
        score=row["sum_logprob"],
        exact_match=0.0 if failed else exact_match(row["answer"], right),
        f1=0.0 if failed else f1(row["answer"], right),
    )
