"""Means with confidence intervals."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over questions or documents.

    Attributes:
        value: The mean.
        low: Lower end of the interval.
        high: Upper end.
        n: Values.
    """

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """How intervals are drawn.

    Attributes:
        resamples: How often the documents are drawn anew.
        seed: The same seed gives the same intervals.
        level: What share of the resampled means lies within.
    """

    resamples: int = 1000
    seed: int = 1
    level: float = 0.95

    def mean(self, values: Sequence[float], groups: Sequence[Hashable]) -> Estimate | None:
        """The mean and its percentile interval (Efron 1979); None of no values.

        Whole documents are drawn, with all their questions: answers about one text go wrong
        together, and drawing questions one by one would make the interval too narrow.

        Args:
            values: One per question.
            groups: The document of each.
        """
        if not values:
            return None
        places = {group: place for place, group in enumerate(dict.fromkeys(groups))}
        index = [places[group] for group in groups]
        sums = np.bincount(index, weights=np.asarray(values, dtype=float))
        sizes = np.bincount(index).astype(float)
        draws = np.random.default_rng(self.seed)
        means = np.empty(self.resamples)
        for number in range(self.resamples):
            sample = draws.integers(len(sums), size=len(sums))
            means[number] = sums[sample].sum() / sizes[sample].sum()
        tail = (1 - self.level) / 2
        low, high = np.quantile(means, [tail, 1 - tail])
        return Estimate(float(np.mean(values)), float(low), float(high), n=len(values))
