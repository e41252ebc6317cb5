"""Whether one of two runs is better, by pairs of answers to the same questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import comb, erfc, sqrt
from typing import Any

from nlp_pipeline.evaluation.bootstrap import Bootstrap
from nlp_pipeline.evaluation.outcomes import Outcome

_EXACT_UP_TO = 1000


@dataclass(frozen=True)
class McNemar:
    """McNemar's test (Psychometrika, 1947) of answers that only one of two runs has right.

    Attributes:
        only_a: Right in A alone.
        only_b: Right in B alone.
        p: Two-sided probability of a difference as large by chance: by the binomial
            distribution, above a thousand such answers by the normal one, continuity corrected.
    """

    only_a: int
    only_b: int
    p: float


def mcnemar(only_a: int, only_b: int) -> McNemar:
    """The test of two counts."""
    n, least = only_a + only_b, min(only_a, only_b)
    if n == 0:
        return McNemar(0, 0, p=1.0)
    if n <= _EXACT_UP_TO:
        tail = sum(comb(n, k) for k in range(least + 1)) / 2**n
        return McNemar(only_a, only_b, p=min(1.0, 2 * tail))
    distance = max(0, abs(only_a - only_b) - 1) / sqrt(n)
    return McNemar(only_a, only_b, p=erfc(distance / sqrt(2)))


def paired_measures(
    outcomes_a: Sequence[Outcome], outcomes_b: Sequence[Outcome], bootstrap: Bootstrap
) -> dict[str, Any] | None:
    """How two runs do on the questions that both were asked; None where there are none.

    Args:
        outcomes_a: Of the first run.
        outcomes_b: Of the second.
        bootstrap: Draws whole documents, with the pairs of all their questions.

    Returns:
        Plain JSON: `n`, for `exact_match` and `f1` the means `a` and `b` and the `difference` (B
        less A) with its interval, `better` and `worse` (by F1), `mcnemar` (by exact match).
    """
    by_question = {(o.document_id, o.question_id): o for o in outcomes_b}
    pairs = [(a, b) for a in outcomes_a if (b := by_question.get((a.document_id, a.question_id)))]
    if not pairs:
        return None
    documents = [a.document_id for a, _ in pairs]
    measures: dict[str, Any] = {"n": len(pairs)}
    for name in ("exact_match", "f1"):
        values = [(getattr(a, name), getattr(b, name)) for a, b in pairs]
        difference = bootstrap.mean([b - a for a, b in values], documents)
        measures[name] = {
            "a": sum(a for a, _ in values) / len(values),
            "b": sum(b for _, b in values) / len(values),
            "difference": None if difference is None else asdict(difference),
        }
    measures["better"] = sum(b.f1 > a.f1 for a, b in pairs)
    measures["worse"] = sum(b.f1 < a.f1 for a, b in pairs)
    right = [(a.exact_match == 1, b.exact_match == 1) for a, b in pairs]
    measures["mcnemar"] = asdict(mcnemar(right.count((True, False)), right.count((False, True))))
    return measures
