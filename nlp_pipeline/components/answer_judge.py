"""Whether the best candidate is an answer at all, and how likely it is right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nlp_pipeline.components.answer_features import checked_weights
from nlp_pipeline.components.answerability import ANSWER_FEATURES, BIAS, probability
from nlp_pipeline.errors.config import InvalidSetting

DEFAULT_NO_ANSWER_WEIGHTS: dict[str, float] = {
    "score": 0.33,
    "reply_logprob": 0.08,
    "coverage": 1.3,
    "opposites": -1.2,
    "negation": -3.7,
    "missing_numbers": -1.1,
    BIAS: -0.5,
}
"""Their sum is the logarithm of the odds that the document holds the answer.

Fitted for the default model, with the default `candidate_weights`, on 164 answerable and 24
unanswerable questions of `corpora/` and 120 of each from SQuAD 2.0's development set.
"""

DEFAULT_CONFIDENCE_WEIGHTS: dict[str, float] = {
    "score": 0.65,
    "log_share": 1.3,
    "opposites": -0.7,
    "negation": -2.7,
    BIAS: -0.5,
}
"""Their sum is the logarithm of the odds that the answer is right.

Fitted on the same questions and 294 from SQuAD 1.1's development set; scores were between -0.1
and 5.3 there.
"""

DEFAULT_THRESHOLD = 0.4
"""An answer counts as none where the document holds one with a lower probability.

With the adapter that ships, on 294 answerable questions of SQuAD 1.1 and 240 of SQuAD 2.0, half of
them without an answer: 20% of these are found and 5% of the others lost; with 0.2 16% and 3%,
with 0.5 26% and 7%.
"""

TRAINED_THRESHOLD = 0.2
"""What suits a model that `nlp-pipeline train` has taught to answer, with `TRAINED_WEIGHTS`.

These weights make scores lower, and the weights here were fitted on higher ones: of 294 answerable
questions of SQuAD 1.1 3% are lost with 0.2, and 10% with the default.
"""

_FEATURES = ("log_share", "coverage", "opposites", "negation", "missing_numbers")

JUDGE_COLUMNS = ("answerable", "confidence", *_FEATURES)
"""Of the row of an answer; the features from which `nlp-pipeline evaluate --fit` learns with it."""


@dataclass(frozen=True)
class AnswerJudge:
    """Turns the features of an answer into probabilities (logistic models).

    Attributes:
        no_answer_weights: Of the features of `answerability`, and `bias`.
        confidence_weights: The same.
        threshold: See `DEFAULT_THRESHOLD`.
    """

    no_answer_weights: Mapping[str, float] = field(
        default_factory=lambda: dict(DEFAULT_NO_ANSWER_WEIGHTS)
    )
    confidence_weights: Mapping[str, float] = field(
        default_factory=lambda: dict(DEFAULT_CONFIDENCE_WEIGHTS)
    )
    threshold: float = DEFAULT_THRESHOLD

    @classmethod
    def checked(
        cls, component: str, no_answer_weights: Any, confidence_weights: Any, threshold: Any
    ) -> AnswerJudge:
        """A judge with the settings of a component; an empty list of weights is the default.

        Raises:
            InvalidSetting: Weights are no numbers by features' names, or the threshold is not
                from 0 to 1.
        """
        is_number = isinstance(threshold, int | float) and not isinstance(threshold, bool)
        if not is_number or not 0 <= threshold <= 1:
            raise InvalidSetting(
                component, "answerable_threshold", threshold, allowed="from 0 to 1"
            )
        names = (*ANSWER_FEATURES, BIAS)
        return cls(
            checked_weights(component, "no_answer_weights", no_answer_weights, names)
            or DEFAULT_NO_ANSWER_WEIGHTS,
            checked_weights(component, "confidence_weights", confidence_weights, names)
            or DEFAULT_CONFIDENCE_WEIGHTS,
            threshold,
        )

    def columns(self, features: Mapping[str, float]) -> dict[str, Any]:
        """What the row of an answer says: its `JUDGE_COLUMNS`.

        Args:
            features: From `answer_features`.
        """
        return {
            "answerable": probability(features, self.no_answer_weights),
            "confidence": probability(features, self.confidence_weights),
            **{name: features[name] for name in _FEATURES},
        }

    def holds_none(self, columns: Mapping[str, Any]) -> bool:
        """Whether the document had better be taken to hold no answer."""
        return bool(columns["answerable"] < self.threshold)
