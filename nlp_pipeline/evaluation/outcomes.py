"""One outcome per question that has a reference: what was said, how right it is, of what kind."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
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
        answerable: Whether the document holds an answer; None where all that is known is that the
            run's is wrong.
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
    answerable: bool | None
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
        n_tokens = lengths.get(row["document_id"])
        if right is not None:
            results.append(_outcome(row, right, n_tokens))
        elif is_rejected(row, references):
            results.append(_rejected(row, n_tokens))
    return results


def is_rejected(row: Mapping[str, Any], references: References) -> bool:
    """Whether a person has said of just this answer, or of having none, that it is wrong."""
    wrong = references.wrong_answers.get((row["document_id"], row["question_id"]), ())
    if row["status"] == "no_answer":
        return None in wrong
    return row["status"] == "ok" and exact_match(row["answer"], filter(None, wrong)) == 1.0


def _rejected(row: Mapping[str, Any], n_tokens: int | None) -> Outcome:
    outcome = _outcome(row, ("",), n_tokens)
    answerable = True if row["status"] == "no_answer" else None
    return replace(outcome, answerable=answerable, exact_match=0.0, f1=0.0)


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
