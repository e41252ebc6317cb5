"""A cascade judged by labelled documents: what accuracy costs how many of the Llama's calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from nlp_pipeline.evaluation.bootstrap import Bootstrap, Estimate
from nlp_pipeline.evaluation.document_halves import halves

CascadeVerdict = Literal["proposed", "not reached", "too few documents"]

_FEWEST = 10
"""Documents in a half, below which a mean of it says nothing."""


@dataclass(frozen=True, slots=True)
class CascadeCase:
    """A labelled document, as both answer it.

    Attributes:
        document_id: The document's.
        certainty: How sure the spaCy component is, from 0 to 1.
        first_right: Whether it is right: 1 or 0.
        llama_right: Whether the Llama is.
    """

    document_id: str
    certainty: float
    first_right: float
    llama_right: float


@dataclass(frozen=True, slots=True)
class CascadePoint:
    """A threshold and what it does.

    Attributes:
        threshold: Documents of this certainty and above are left to the spaCy component; None
            leaves all to the Llama.
        llama_share: Share of the documents that the Llama answers.
        accuracy: Share of the documents that are answered right.
    """

    threshold: float | None
    llama_share: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class CascadeReport:
    """A threshold, chosen on one half of the documents, and what it does on the other.

    Attributes:
        n: Documents in all.
        goal: The accuracy that is to be reached: the one asked for, or the Llama's own on the
            half that the threshold is chosen on.
        verdict: `proposed`; or why no threshold is: none reaches the accuracy (`not reached`), or
            a half has too few documents to tell.
        threshold: The one with the fewest calls of the Llama that reaches it there; None without.
        llama_share: Share of the documents of the other half that the Llama is asked about.
        accuracy: Of the cascade on the other half.
        llama_accuracy: Of the Llama alone there.
        first_accuracy: Of the spaCy component alone there.
        difference: Accuracy of the cascade less that of the Llama, document by document.
        curve: All thresholds that make a difference, over all documents, the Llama alone first.
    """

    n: int
    goal: float
    verdict: CascadeVerdict
    threshold: float | None
    llama_share: float
    accuracy: Estimate | None
    llama_accuracy: Estimate | None
    first_accuracy: Estimate | None
    difference: Estimate | None
    curve: list[CascadePoint]


def judge_cascade(
    cases: Sequence[CascadeCase], wanted_accuracy: float | None, bootstrap: Bootstrap
) -> CascadeReport:
    """Chooses a threshold on half of the documents and looks what it does on the other half.

    Args:
        cases: The labelled documents, one at least.
        wanted_accuracy: What is to be reached; None for the Llama's own.
        bootstrap: How intervals are drawn.
    """
    chosen_on, reported_on = halves(cases, lambda case: case.document_id)
    few = min(len(chosen_on), len(reported_on)) < _FEWEST
    if few:
        chosen_on = reported_on = list(cases)
    points = cascade_curve(chosen_on)
    goal = points[0].accuracy if wanted_accuracy is None else wanted_accuracy
    fits = [point for point in points if point.accuracy >= goal - 1e-9]
    best = min(fits, key=lambda point: point.llama_share) if fits else points[0]
    verdict: CascadeVerdict = "proposed"
    if few:
        verdict = "too few documents"
    elif not fits or best.threshold is None:
        verdict = "not reached"
    values = [_value(case, best.threshold) for case in reported_on]
    llama = [case.llama_right for case in reported_on]
    gains = [value - alone for value, alone in zip(values, llama, strict=True)]
    ids = [case.document_id for case in reported_on]
    n_llama = sum(not _is_first(case, best.threshold) for case in reported_on)
    return CascadeReport(
        n=len(cases),
        goal=goal,
        verdict=verdict,
        threshold=best.threshold,
        llama_share=n_llama / len(reported_on),
        accuracy=bootstrap.mean(values, ids),
        llama_accuracy=bootstrap.mean(llama, ids),
        first_accuracy=bootstrap.mean([case.first_right for case in reported_on], ids),
        difference=bootstrap.mean(gains, ids),
        curve=cascade_curve(cases),
    )


def cascade_curve(cases: Sequence[CascadeCase]) -> list[CascadePoint]:
    """What each threshold that makes a difference does, from the Llama alone to nothing of it.

    A threshold lies between two certainties, so that it can be written with few digits.
    """
    ranked = sorted(cases, key=lambda case: -case.certainty)
    right = sum(case.llama_right for case in ranked)
    points = [CascadePoint(None, 1.0, accuracy=right / len(ranked))]
    for number, case in enumerate(ranked, start=1):
        right += case.first_right - case.llama_right
        lower = ranked[number].certainty if number < len(ranked) else 0.0
        if lower < case.certainty or number == len(ranked):
            threshold = (case.certainty + lower) / 2 if number < len(ranked) else 0.0
            share = 1 - number / len(ranked)
            points.append(CascadePoint(threshold, share, accuracy=right / len(ranked)))
    return points


def _is_first(case: CascadeCase, threshold: float | None) -> bool:
    return threshold is not None and case.certainty >= threshold


def _value(case: CascadeCase, threshold: float | None) -> float:
    return case.first_right if _is_first(case, threshold) else case.llama_right
