"""The score under which an answer had better count as none, found on labelled data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from nlp_pipeline.evaluation.document_halves import halves
from nlp_pipeline.evaluation.outcomes import Outcome

Verdict = Literal["better", "no gain", "none always is as good", "too few questions"]

_FEWEST = 10
"""Questions in a half, below which a mean of it says nothing."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """A threshold, chosen on one half of the documents, and what it does on the other.

    Attributes:
        threshold: Answers with a lower score count as none. None where none is better on the
            half it is chosen on.
        verdict: `better` where it is advised; else why it is not: on the other half it gains
            nothing (`no gain`), or no more than to call every answer none (`none always is as
            good`), or a half has too few questions to tell.
        n: Questions of the half it is reported on.
        answered_before: How many of them have an answer without it.
        answered_after: How many have one left with it.
        mean_before: The mean of the measure without it, there.
        mean_after: The mean with it.
        none_always: The mean if every answer counted as none.
    """

    threshold: float | None
    verdict: Verdict
    n: int
    answered_before: int
    answered_after: int
    mean_before: float
    mean_after: float
    none_always: float


def advised_threshold(results: Sequence[Outcome], measure: str) -> Threshold | None:
    """Chooses a threshold on half of the documents and looks what it does on the other half.

    Args:
        results: Outcomes of a run without a threshold.
        measure: `f1` or `exact_match`.

    Returns:
        None of no questions.
    """
    if not results:
        return None
    chosen_on, reported_on = halves(results, lambda outcome: outcome.document_id)
    if min(len(chosen_on), len(reported_on)) < _FEWEST:
        return _report(None, "too few questions", results, measure)
    best = best_threshold(chosen_on, measure)
    report = _report(best, "better", reported_on, measure)
    if report.mean_after <= report.mean_before + 1e-9:
        return _report(best, "no gain", reported_on, measure)
    if report.mean_after <= report.none_always + 1e-9:
        return _report(best, "none always is as good", reported_on, measure)
    return report


def best_threshold(results: Sequence[Outcome], measure: str) -> float | None:
    """Tries every threshold that makes a difference.

    Of equally good ones the lowest is taken, which changes the least. One that leaves no answer
    is none: it would do without the model.

    Returns:
        None where none is better.
    """
    answers = [o for o in results if o.status == "ok" and o.score is not None]
    answers.sort(key=lambda outcome: outcome.score or 0.0)
    scores = [outcome.score or 0.0 for outcome in answers]
    gain = best = 0.0
    threshold: float | None = None
    for score, follower, outcome in zip(scores, scores[1:], answers, strict=False):
        gain += float(outcome.answerable is False) - float(getattr(outcome, measure))
        if follower > score and gain > best + 1e-9:
            best, threshold = gain, (score + follower) / 2
    return threshold


def _report(
    threshold: float | None, verdict: Verdict, results: Sequence[Outcome], measure: str
) -> Threshold:
    values = [float(getattr(outcome, measure)) for outcome in results]
    if_none = [0.0 if o.status == "error" else float(o.answerable is False) for o in results]
    answered = [outcome.status == "ok" for outcome in results]
    has_answer = [
        is_answer and not (threshold is not None and o.score is not None and o.score < threshold)
        for is_answer, o in zip(answered, results, strict=True)
    ]
    values_after = [
        value if remains == is_answer else value_of_none
        for value, value_of_none, remains, is_answer in zip(
            values, if_none, has_answer, answered, strict=True
        )
    ]
    n = len(results)
    return Threshold(
        threshold=threshold,
        verdict=verdict,
        n=n,
        answered_before=sum(answered),
        answered_after=sum(has_answer),
        mean_before=sum(values) / n,
        mean_after=sum(values_after) / n,
        none_always=sum(if_none) / n,
    )
