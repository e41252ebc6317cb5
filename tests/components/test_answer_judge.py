from __future__ import annotations

from typing import Any

import pytest

from nlp_pipeline.components.answer_judge import (
    DEFAULT_CONFIDENCE_WEIGHTS,
    DEFAULT_NO_ANSWER_WEIGHTS,
    DEFAULT_THRESHOLD,
    JUDGE_COLUMNS,
    AnswerJudge,
)
from nlp_pipeline.components.answerability import ANSWER_FEATURES
from nlp_pipeline.errors.config import InvalidSetting

FEATURES = {
    "score": 3.0,
    "log_share": -0.5,
    "reply_logprob": -6.0,
    "coverage": 0.75,
    "opposites": 0.0,
    "negation": 0.0,
    "missing_numbers": 0.0,
}


def test_the_columns_are_probabilities_and_the_features_they_come_from() -> None:
    columns = AnswerJudge().columns(FEATURES)
    assert tuple(columns) == JUDGE_COLUMNS
    assert columns["answerable"] == pytest.approx(0.7281, abs=1e-3)
    assert columns["confidence"] == pytest.approx(0.6900, abs=1e-3)
    assert columns["coverage"] == 0.75
    assert not AnswerJudge().holds_none(columns)


@pytest.mark.parametrize("feature", ["opposites", "negation"])
def test_what_turns_the_question_round_lowers_both(feature: str) -> None:
    before, after = (AnswerJudge().columns({**FEATURES, feature: n}) for n in (0.0, 1.0))
    assert after["answerable"] < before["answerable"]
    assert after["confidence"] < before["confidence"]


def test_a_higher_score_never_lowers_the_confidence() -> None:
    values = [AnswerJudge().columns({**FEATURES, "score": s})["confidence"] for s in range(-9, 9)]
    assert values == sorted(values)


def test_the_threshold_decides() -> None:
    columns = {"answerable": 0.3}
    assert AnswerJudge(threshold=0.31).holds_none(columns)
    assert not AnswerJudge(threshold=0.3).holds_none(columns)
    assert not AnswerJudge(threshold=0.0).holds_none({"answerable": 0.0}), "0 turns it off"


def test_the_default_weights_are_of_features() -> None:
    for weights in (DEFAULT_NO_ANSWER_WEIGHTS, DEFAULT_CONFIDENCE_WEIGHTS):
        assert set(weights) <= {*ANSWER_FEATURES, "bias"}
    checked = AnswerJudge.checked("qa", {}, {"score": 1}, DEFAULT_THRESHOLD)
    assert checked.no_answer_weights == DEFAULT_NO_ANSWER_WEIGHTS
    assert checked.confidence_weights == {"score": 1}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            ([1], {}, 0.2),
            r"components\.qa\.no_answer_weights is \[1\] and must be numbers by score",
        ),
        (({"scor": 1}, {}, 0.2), r"no_answer_weights is 'scor' and must be numbers by score"),
        (({}, {"score": "2"}, 0.2), r"confidence_weights is '2' and must be numbers by score"),
        (({}, {"score": True}, 0.2), r"confidence_weights is True and must be"),
        (({}, {}, 1.5), r"answerable_threshold is 1\.5 and must be from 0 to 1"),
        (({}, {}, "low"), r"answerable_threshold is 'low' and must be from 0 to 1"),
        (({}, {}, float("nan")), r"answerable_threshold is nan and must be from 0 to 1"),
    ],
)
def test_settings_that_are_none(settings: tuple[Any, Any, Any], words: str) -> None:
    with pytest.raises(InvalidSetting, match=words):
        AnswerJudge.checked("qa", *settings)
