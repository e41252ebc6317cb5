"""The score under which an answer had better count as none, found on labelled data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nlp_pipeline.evaluation.outcomes import Outcome


@dataclass(frozen=True, slots=True)
class Threshold:
    """The best threshold for one measure.

    Attributes:
        threshold: Answers with a lower score count as none; None where no threshold is better.
        before: The mean of the measure without one.
        after: The mean with it, on the very questions it was chosen on.
    """

    threshold: float | None
    before: float
    after: float


def best_threshold(results: Sequence[Outcome], measure: str) -> Threshold | None:
    """Tries every threshold that makes a difference.

    Args:
        results: Outcomes of a run without a threshold.
        measure: `f1` or `exact_match`.

    Returns:
        None of no questions. Of equally good thresholds the lowest, which changes the least.
    """
    if not results:
        return None
    answers = [o for o in results if o.status == "ok" and o.score is not None]
    answers.sort(key=lambda outcome: outcome.score or 0.0)
    total = unchanged = best = sum(getattr(outcome, measure) for outcome in results)
    threshold: float | None = None
    scores = [outcome.score or 0.0 for outcome in answers]
    for score, follower, outcome in zip(scores, [*scores, 0.0][1:], answers, strict=True):
        total += float(not outcome.answerable) - getattr(outcome, measure)
        if follower > score and total > best + 1e-9:
            best, threshold = total, (score + follower) / 2
    return Threshold(threshold, unchanged / len(results), best / len(results))
