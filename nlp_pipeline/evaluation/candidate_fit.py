"""Weights of candidates for answers, learned from questions whose right answers are known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from nlp_pipeline.components.answer_features import FEATURE_NAMES
from nlp_pipeline.components.answer_overlap import exact_match
from nlp_pipeline.errors.evaluation import too_few_choices
from nlp_pipeline.evaluation.document_halves import halves
from nlp_pipeline.evaluation.linear_fit import Floats, fit_choice
from nlp_pipeline.evaluation.references import References

FEWEST = 20
"""Questions with a right and a wrong candidate that each half of the documents must have."""

_DIGITS = 4


@dataclass(frozen=True, slots=True)
class LabelledCandidates:
    """The candidates for the answer to a question that its document answers.

    Attributes:
        document_id: The document.
        features: In the order of `FEATURE_NAMES`, the run's best candidate first. Shape:
            (n_candidates, n_features).
        right: Which of them are an exact match. Shape: (n_candidates,).
    """

    document_id: str
    features: Floats
    right: np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True, slots=True)
class CandidateFit:
    """Weights learned on one half of the documents and tried on the other.

    Attributes:
        weights: By feature.
        is_better: Whether more answers are right with them there.
        n: Questions of the half that it was tried on.
        exact_match_of_run: The share of right answers there with the run's own weights.
        exact_match: The share with the learned ones.
    """

    weights: dict[str, float]
    is_better: bool
    n: int
    exact_match_of_run: float
    exact_match: float


def labelled_candidates(
    rows: Iterable[Mapping[str, Any]], references: References
) -> list[LabelledCandidates]:
    """The questions that have candidates and an answer in their document.

    Args:
        rows: Of the table `answer_candidates`, of one component.
        references: What is right.
    """
    labelled = []
    for (document_id, question_id), members in groupby(
        rows, lambda row: (row["document_id"], row["question_id"])
    ):
        texts = references.answers.get((document_id, question_id))
        if not texts:
            continue
        ranked = sorted(members, key=lambda row: row["rank"])
        features = np.array([[row[name] for name in FEATURE_NAMES] for row in ranked])
        right = np.array([exact_match(row["text"], texts) == 1 for row in ranked])
        labelled.append(LabelledCandidates(document_id, features, right))
    return labelled


def fit_candidates(
    labelled: Sequence[LabelledCandidates], weights: Mapping[str, float]
) -> CandidateFit | str:
    """Learns on one half of the documents and tries it on the other.

    Args:
        labelled: From `labelled_candidates`.
        weights: The run's own, of every feature: what is learned stays near them where there is
            little to learn from.

    Returns:
        Why nothing can be learned, where there are too few questions.
    """
    learned_on, tried_on = halves(labelled, lambda choice: choice.document_id)
    counts = [
        sum(bool(choice.right.any() and not choice.right.all()) for choice in half)
        for half in (learned_on, tried_on)
    ]
    if min(counts) < FEWEST:
        return too_few_choices(counts, FEWEST)
    learned = fit_choice(
        np.concatenate([choice.features for choice in learned_on]),
        np.repeat(np.arange(len(learned_on)), [len(choice.right) for choice in learned_on]),
        np.concatenate([choice.right for choice in learned_on]),
        prior=np.array([weights[name] for name in FEATURE_NAMES]),
    ).round(_DIGITS)
    of_run = _share_right(tried_on, np.array([weights[name] for name in FEATURE_NAMES]))
    share = _share_right(tried_on, learned)
    return CandidateFit(
        dict(zip(FEATURE_NAMES, learned.tolist(), strict=True)),
        is_better=share > of_run,
        n=len(tried_on),
        exact_match_of_run=of_run,
        exact_match=share,
    )


def _share_right(tried_on: Sequence[LabelledCandidates], weights: Floats) -> float:
    """Of how many questions the candidate that scores highest is right; of equal ones the first."""
    hits = [choice.right[int(np.argmax(choice.features @ weights))] for choice in tried_on]
    return float(np.mean(hits))
