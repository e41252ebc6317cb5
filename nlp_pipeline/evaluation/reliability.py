"""Whether the probability of an answer says how often such answers are right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp

from nlp_pipeline.evaluation.outcomes import Outcome

BINS = 10


@dataclass(frozen=True, slots=True)
class Bin:
    """Answers of similar probability.

    Attributes:
        low: Lower end of the bin, from 0 to 1.
        high: Upper end.
        n: Answers in it.
        confidence: Their mean probability; None of no answers.
        accuracy: The share of exact matches among them; None of no answers.
    """

    low: float
    high: float
    n: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True, slots=True)
class Reliability:
    """Probabilities of answers beside their accuracy.

    Attributes:
        n: Answers with a score.
        expected_calibration_error: Mean distance of probability and accuracy over the bins,
            weighted by their answers (Guo et al. 2017); from 0 to 1.
        auroc: Probability that a right answer has a higher score than a wrong one; 0.5 is
            chance; None where all are right or all are wrong.
        bins: Of equal width.
    """

    n: int
    expected_calibration_error: float
    auroc: float | None
    bins: tuple[Bin, ...]


def reliability(results: Sequence[Outcome]) -> Reliability | None:
    """The reliability of the answers that have a score; None of none.

    The probability of an answer is that of the whole of it, which is the exponential of its
    score.
    """
    pairs = [
        (exp(o.score), o.exact_match) for o in results if o.status == "ok" and o.score is not None
    ]
    if not pairs:
        return None
    bins = tuple(_bin(pairs, number) for number in range(BINS))
    error = sum(
        b.n * abs(b.confidence - b.accuracy)
        for b in bins
        if b.confidence is not None and b.accuracy is not None
    )
    return Reliability(len(pairs), error / len(pairs), _auroc(pairs), bins=bins)


def _bin(pairs: list[tuple[float, float]], number: int) -> Bin:
    inside = [pair for pair in pairs if min(int(pair[0] * BINS), BINS - 1) == number]
    means = [sum(column) / len(inside) for column in zip(*inside, strict=True)] or [None, None]
    return Bin(
        number / BINS, (number + 1) / BINS, n=len(inside), confidence=means[0], accuracy=means[1]
    )


def _auroc(pairs: list[tuple[float, float]]) -> float | None:
    """By ranks (Mann-Whitney), equal scores counting half."""
    right = sum(hit for _, hit in pairs)
    wrong = len(pairs) - right
    if not right or not wrong:
        return None
    ranks: dict[float, list[int]] = {}
    for rank, value in enumerate(sorted(value for value, _ in pairs), 1):
        ranks.setdefault(value, []).append(rank)
    total = sum(hit * sum(ranks[value]) / len(ranks[value]) for value, hit in pairs)
    return float((total - right * (right + 1) / 2) / (right * wrong))
