"""Whether the probability of an answer says how often such answers are right."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from math import exp

from nlp_pipeline.evaluation.outcomes import Outcome

BINS = 10


@dataclass(frozen=True, slots=True)
class Bin:
    """Answers of similar probability.

    Attributes:
        low: The lowest probability in it.
        high: The highest.
        n: Answers in it.
        confidence: Their mean probability.
        accuracy: The share of exact matches among them.
    """

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class Reliability:
    """Probabilities of answers beside their accuracy.

    Attributes:
        n: Answers with a probability.
        expected_calibration_error: Mean distance of probability and accuracy over the bins,
            weighted by their answers (Guo et al. 2017); from 0 to 1.
        auroc: Probability that a right answer has a higher one than a wrong one; 0.5 is
            chance; None where all are right or all are wrong.
        bins: Of equally many answers (Nguyen and O'Connor 2015), the least probable first. Bins
            of equal width would hide that most answers fall in one of them.
    """

    n: int
    expected_calibration_error: float
    auroc: float | None
    bins: tuple[Bin, ...]


def reliability(results: Sequence[Outcome]) -> Reliability | None:
    """The reliability of the answers that have a probability; None of none.

    It is the `confidence`; where a run has none, the exponential of the score.
    """
    answers = [(_probability(o), o.exact_match) for o in results if o.status == "ok"]
    return calibration_curve([(p, hit) for p, hit in answers if p is not None])


def calibration_curve(answers: Sequence[tuple[float, float]]) -> Reliability | None:
    """The reliability of probabilities; None of none.

    Args:
        answers: Probability, and 1 if the answer is right, else 0.
    """
    pairs = sorted(answers)
    if not pairs:
        return None
    n, n_bins = len(pairs), min(BINS, len(pairs))
    edges = [n * number // n_bins for number in range(n_bins + 1)]
    bins = tuple(_bin(pairs[a:b]) for a, b in itertools.pairwise(edges))
    error = sum(b.n * abs(b.confidence - b.accuracy) for b in bins) / n
    area = auroc([p for p, _ in pairs], [hit > 0 for _, hit in pairs])
    return Reliability(n, error, auroc=area, bins=bins)


def auroc(scores: Sequence[float], positive: Sequence[bool]) -> float | None:
    """Probability that a positive case has a higher score than a negative one.

    By ranks (Mann and Whitney 1947), equal scores counting half; None where all are of one kind.
    """
    n_positive = sum(positive)
    n_negative = len(positive) - n_positive
    if not n_positive or not n_negative:
        return None
    ranks: dict[float, list[int]] = {}
    for rank, score in enumerate(sorted(scores), 1):
        ranks.setdefault(score, []).append(rank)
    means = {score: sum(places) / len(places) for score, places in ranks.items()}
    total = sum(means[score] for score, hit in zip(scores, positive, strict=True) if hit)
    return float((total - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))


def _probability(outcome: Outcome) -> float | None:
    if outcome.confidence is not None:
        return outcome.confidence
    return None if outcome.score is None else exp(outcome.score)


def _bin(pairs: Sequence[tuple[float, float]]) -> Bin:
    probabilities, hits = zip(*pairs, strict=True)
    n = len(pairs)
    mean, share = sum(probabilities) / n, sum(hits) / n
    return Bin(probabilities[0], probabilities[-1], n, confidence=mean, accuracy=share)
