"""Weights of `llama_qa`, learned from questions whose answers are known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import log
from typing import Any

import numpy as np

from nlp_pipeline.components.answer_judge import (
    DEFAULT_CONFIDENCE_WEIGHTS,
    DEFAULT_NO_ANSWER_WEIGHTS,
)
from nlp_pipeline.components.answer_overlap import exact_match
from nlp_pipeline.components.answerability import ANSWER_FEATURES, BIAS, probability
from nlp_pipeline.errors.evaluation import too_few_cases
from nlp_pipeline.evaluation.candidate_fit import CandidateFit
from nlp_pipeline.evaluation.document_halves import halves
from nlp_pipeline.evaluation.linear_fit import Floats, fit_probability
from nlp_pipeline.evaluation.references import References
from nlp_pipeline.evaluation.reliability import auroc, calibration_curve

FEWEST = 10
"""Cases of either kind that each half of the documents must have."""

_RUN_COLUMNS = {"no_answer_weights": "answerable", "confidence_weights": "confidence"}

OF_SCORES = tuple(_RUN_COLUMNS)
"""The settings that are learned from the scores of candidates."""

_DIGITS = 4
_LOWEST = 1e-300


@dataclass(frozen=True, slots=True)
class LabelledAnswer:
    """An answer of the extractive mode to a question that has a reference.

    Attributes:
        document_id: Its document.
        features: By `answerability.ANSWER_FEATURES`.
        answerable: Whether the document holds an answer.
        right: Whether it is right; None where the run has taken it for none, so that its text is
            not known.
        run_values: The run's own `answerable` and `confidence`.
    """

    document_id: str
    features: Mapping[str, float]
    answerable: bool
    right: bool | None
    run_values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Fit:
    """One list of weights, learned on one half of the documents and tried on the other.

    Attributes:
        weights: By feature, and the bias.
        is_better: Whether they serve better there than the run's own: they tell the questions
            without an answer apart better, or say better how often answers are right.
        n: Questions of the half that it was tried on.
        auroc_of_run: How well the run's own probabilities tell the two kinds apart there.
        auroc: How well the learned ones do.
        error_of_run: Expected calibration error of the run's own probabilities there.
        error: That of the learned ones.
    """

    weights: dict[str, float]
    is_better: bool
    n: int
    auroc_of_run: float
    auroc: float
    error_of_run: float
    error: float


@dataclass(slots=True)
class AnswerFit:
    """What was learned for one component.

    Attributes:
        candidates: `candidate_weights`; None where they could not be learned.
        fits: Other settings, by name.
        reasons: Why a setting could not be learned, by its name.
    """

    candidates: CandidateFit | None = None
    fits: dict[str, Fit] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)


def labelled_answers(
    rows: Iterable[Mapping[str, Any]], references: References
) -> list[LabelledAnswer]:
    """The answers that have features and references.

    Args:
        rows: Of the table `answers`, of one component.
        references: What is right.
    """
    answers = []
    for row in rows:
        texts = references.answers.get((row["document_id"], row["question_id"]))
        if texts is None or row.get("candidate_score") is None:
            continue
        has_text = row["answer"] is not None
        reply = row["no_answer_prob"]
        answers.append(
            LabelledAnswer(
                row["document_id"],
                {
                    **{name: row[name] for name in ANSWER_FEATURES if name in row},
                    "score": row["candidate_score"],
                    "reply_logprob": 0.0 if reply is None else log(max(reply, _LOWEST)),
                },
                answerable=bool(texts),
                right=bool(texts) and exact_match(row["answer"], texts) == 1 if has_text else None,
                run_values={name: row[name] for name in ("answerable", "confidence")},
            )
        )
    return answers


def fit_answers(answers: Sequence[LabelledAnswer]) -> AnswerFit:
    """Learns on one half of the documents and tries it on the other.

    What is returned is what was tried: learned on the first half alone. Of too few answers of
    either kind there are the reasons.
    """
    fit = AnswerFit()
    with_text = [answer for answer in answers if answer.right is not None]
    cases = {
        "no_answer_weights": (
            answers,
            [answer.answerable for answer in answers],
            DEFAULT_NO_ANSWER_WEIGHTS,
        ),
        "confidence_weights": (
            with_text,
            [bool(answer.right) for answer in with_text],
            DEFAULT_CONFIDENCE_WEIGHTS,
        ),
    }
    for setting, (members, positive, defaults) in cases.items():
        parts = halves(zip(members, positive, strict=True), lambda case: case[0].document_id)
        counts = [
            sum(kind == wanted for _, kind in part) for part in parts for wanted in (True, False)
        ]
        if min(counts) < FEWEST:
            fit.reasons[setting] = too_few_cases(setting, counts, FEWEST)
        else:
            fit.fits[setting] = _fit(
                *parts, features=[n for n in defaults if n != BIAS], setting=setting
            )
    return fit


def _fit(
    learned_on: Sequence[tuple[LabelledAnswer, bool]],
    tried_on: Sequence[tuple[LabelledAnswer, bool]],
    *,
    features: Sequence[str],
    setting: str,
) -> Fit:
    positive = np.array([kind for _, kind in learned_on])
    model = fit_probability(_columns(learned_on, features), positive)
    values = zip(features, model.weights, strict=True)
    weights = {name: round(float(value), _DIGITS) for name, value in values}
    weights[BIAS] = round(model.bias, _DIGITS)
    kinds = [kind for _, kind in tried_on]
    learned = [probability(answer.features, weights) for answer, _ in tried_on]
    column = _RUN_COLUMNS[setting]
    of_run = [answer.run_values[column] for answer, _ in tried_on]
    aurocs = auroc(of_run, kinds) or 0.0, auroc(learned, kinds) or 0.0
    errors = _error(of_run, kinds), _error(learned, kinds)
    tells_better, says_better = aurocs[1] > aurocs[0], errors[1] < errors[0]
    return Fit(
        weights,
        is_better=tells_better if setting == "no_answer_weights" else says_better,
        n=len(kinds),
        auroc_of_run=aurocs[0],
        auroc=aurocs[1],
        error_of_run=errors[0],
        error=errors[1],
    )


def _columns(cases: Sequence[tuple[LabelledAnswer, bool]], features: Sequence[str]) -> Floats:
    return np.array([[answer.features[name] for name in features] for answer, _ in cases])


def _error(probabilities: Sequence[float], kinds: Sequence[bool]) -> float:
    curve = calibration_curve(list(zip(probabilities, map(float, kinds), strict=True)))
    assert curve is not None, "a half has cases of both kinds"
    return curve.expected_calibration_error
