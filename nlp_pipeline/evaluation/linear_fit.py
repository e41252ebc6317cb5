"""Weights of features, learned from cases whose kind is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_STEPS = 100
_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class LinearModel:
    """A weighted sum of features.

    Attributes:
        weights: One a feature, in the features' own units. Shape: (n_features,).
        bias: Is added to the sum.
    """

    weights: Floats
    bias: float = 0.0

    def scores(self, features: Floats) -> Floats:
        """The sums. Takes the shape (n, n_features), gives (n,)."""
        return np.asarray(features @ self.weights + self.bias, dtype=float)


def fit_choice(
    features: Floats,
    groups: NDArray[np.int64],
    right: NDArray[np.bool_],
    *,
    prior: Floats,
    l2: float = 1.0,
) -> Floats:
    """Weights under which the right candidates of a question score highest.

    The softmax over the candidates of each question is held against the share that falls on the
    right ones (cross-entropy over lists, Cao et al. 2007). A question with no right candidate, or
    with none that is wrong, teaches nothing.

    Args:
        features: Of all candidates. Shape: (n, n_features).
        groups: The question of each, as a number from 0. Shape: (n,).
        right: Which are right. Shape: (n,).
        prior: The weights that hold where there is nothing to learn from. Shape: (n_features,).
        l2: How strongly weights are held near these, per feature of unit variance.

    Returns:
        Shape: (n_features,).
    """
    mean, scale = _unit(features)
    x, start = (features - mean) / scale, prior * scale
    hits, sizes = np.bincount(groups, right), np.bincount(groups)
    teaches = ((hits > 0) & (hits < sizes))[groups]
    x, hit = x[teaches], right[teaches].astype(float)
    names, index = np.unique(groups[teaches], return_inverse=True)

    def derivatives(change: Floats) -> tuple[float, Floats, Floats]:
        scores = x @ (start + change)
        highest = np.full(len(names), -np.inf)
        np.maximum.at(highest, index, scores)
        odds = np.exp(scores - highest[index])
        total, total_right = np.bincount(index, odds), np.bincount(index, odds * hit)
        share, share_right = odds / total[index], odds * hit / total_right[index]
        means = [
            np.stack([np.bincount(index, part * column) for column in x.T], axis=1)
            for part in (share, share_right)
        ]
        loss = float(np.log(total / total_right).sum() + l2 / 2 * change @ change)
        gradient = (means[0] - means[1]).sum(axis=0) + l2 * change
        # The right candidates' part is concave: without it the curvature is positive definite,
        # and the step still leads downhill.
        curvature = (x * share[:, None]).T @ x - means[0].T @ means[0] + l2 * np.eye(x.shape[1])
        return loss, gradient, curvature

    change = _newton(derivatives, features.shape[1]) if len(names) else np.zeros(len(prior))
    return np.asarray((start + change) / scale, dtype=float)


def fit_probability(
    features: Floats, positive: NDArray[np.bool_], *, l2: float = 1.0
) -> LinearModel:
    """Logistic regression: the sum is the logarithm of the odds that a case is positive.

    Args:
        features: Shape: (n, n_features).
        positive: Shape: (n,); some are and some are not.
        l2: How strongly weights, not the bias, are held near zero, per feature of unit variance.
    """
    mean, scale = _unit(features)
    x = np.column_stack([(features - mean) / scale, np.ones(len(features))])
    penalty = np.full(x.shape[1], l2)
    penalty[-1] = 0.0
    target = positive.astype(float)

    def derivatives(weights: Floats) -> tuple[float, Floats, Floats]:
        scores = x @ weights
        probability = sigmoid(scores)
        loss = float((np.logaddexp(0, scores) - target * scores).sum())
        loss += float((penalty / 2 * weights * weights).sum())
        gradient = x.T @ (probability - target) + penalty * weights
        spread = probability * (1 - probability)
        return loss, gradient, (x * spread[:, None]).T @ x + np.diag(penalty + _TOLERANCE)

    solution = _newton(derivatives, x.shape[1])
    weights = solution[:-1] / scale
    return LinearModel(weights, float(solution[-1] - weights @ mean))


def sigmoid(scores: Floats) -> Floats:
    """From the logarithm of odds to probabilities; of any shape."""
    return np.asarray(0.5 * (1 + np.tanh(scores / 2)), dtype=float)


def _unit(features: Floats) -> tuple[Floats, Floats]:
    """Mean and spread of each feature; a spread of 1 where it never changes."""
    spread = features.std(axis=0)
    return features.mean(axis=0), np.where(spread > _TOLERANCE, spread, 1.0)


def _newton(
    derivatives: Callable[[Floats], tuple[float, Floats, Floats]], n_weights: int
) -> Floats:
    """The minimum, by Newton's method with halved steps where a whole one leads uphill."""
    weights = np.zeros(n_weights)
    loss, gradient, curvature = derivatives(weights)
    for _ in range(_STEPS):
        step = np.linalg.solve(curvature, gradient)
        size = 1.0
        while size > _TOLERANCE:
            following = derivatives(weights - size * step)
            if following[0] <= loss:
                break
            size /= 2
        else:
            break
        weights = weights - size * step
        gain, (loss, gradient, curvature) = loss - following[0], following
        if gain < _TOLERANCE:
            break
    return weights
