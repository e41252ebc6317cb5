from __future__ import annotations

import numpy as np
import pytest

from nlp_pipeline.evaluation.linear_fit import Floats, fit_probability, sigmoid


class TestProbability:
    def test_finds_the_odds(self) -> None:
        draws = np.random.default_rng(5)
        features = draws.normal(size=(4000, 2)) * [1, 20] + [0, 7]
        positive = draws.random(4000) < sigmoid(1.5 * features[:, 0] - 0.05 * features[:, 1] + 0.5)
        model = fit_probability(features, positive, l2=0.01)
        assert model.weights == pytest.approx([1.5, -0.05], abs=0.15)
        assert model.bias == pytest.approx(0.5, abs=0.15)
        mean = sigmoid(model.scores(features)).mean()
        assert mean == pytest.approx(positive.mean(), abs=1e-4), "the bias is not held near zero"

    def test_stays_finite_where_a_line_parts_all(self) -> None:
        features = np.arange(20.0)[:, None]
        model = fit_probability(features, np.arange(20) >= 10)
        assert 0 < model.weights[0] < 5
        assert -model.bias / model.weights[0] == pytest.approx(9.5, abs=0.01)

    def test_extreme_scores_overflow_nothing(self) -> None:
        assert sigmoid(np.array([-1e4, 0.0, 1e4])).tolist() == [0, 0.5, 1]

    def test_a_feature_that_never_changes_has_no_weight(self) -> None:
        features = np.column_stack([np.arange(40.0), np.full(40, 3.0)])
        model = fit_probability(features, np.arange(40) % 3 == 0)
        assert model.weights[1] == 0

    def test_is_at_the_least_loss(self) -> None:
        draws = np.random.default_rng(8)
        features = draws.normal(size=(200, 2)) * [1, 9]
        positive = draws.random(200) < sigmoid(features[:, 0])

        def loss(weights: Floats, bias: float) -> float:
            scores = features @ weights + bias
            fit = np.logaddexp(0, scores) - positive * scores
            return float(fit.sum() + 0.5 * ((weights * features.std(axis=0)) ** 2).sum())

        model = fit_probability(features, positive, l2=1.0)
        least = loss(model.weights, model.bias)
        for step in ([0.01, 0], [-0.01, 0], [0, 0.001], [0, -0.001]):
            assert least < loss(model.weights + np.array(step), model.bias)
        assert least < min(loss(model.weights, model.bias + step) for step in (-0.01, 0.01))
