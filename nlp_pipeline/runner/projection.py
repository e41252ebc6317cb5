"""From some documents to all: sums over a corpus, each with an interval."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np

LEVEL = 0.95
"""The share of intervals that hold the true value."""

_FEW = 4
"""With fewer points a line of two parameters says too much."""

_MOST_LEVERAGE = 0.9
"""Of a point that the line follows wherever it is."""

_Z = 1.96
_T = (12.7, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23)
"""Student's quantiles of `LEVEL`, by degrees of freedom from 1 on."""


@dataclass(frozen=True)
class Projected:
    """A sum over a corpus, and where it lies with a probability of 95 %."""

    value: float
    low: float
    high: float

    def scaled(self, factor: float, plus: float = 0.0) -> Projected:
        """Times a factor, and plus a number that is known."""
        values = (factor * number + plus for number in (self.value, self.low, self.high))
        return Projected(*values)


@dataclass(frozen=True)
class FittedLine:
    """A straight line through points, and how far they lie from it.

    Attributes:
        slope: Never negative: more to read is never less to do.
        offset: At 0.
        places: Of the points. Shape: (n,).
        residuals: Of the points. Shape: (n,).
    """

    slope: float
    offset: float
    places: np.ndarray
    residuals: np.ndarray

    @classmethod
    def through(cls, places: np.ndarray, values: np.ndarray) -> FittedLine:
        """The least squares line; of fewer than four points the one through 0, by their sums.

        Args:
            places: Shape: (n,), at least one.
            values: Shape: (n,).
        """
        distances = places - places.mean()
        spread = float((distances**2).sum())
        if len(places) < _FEW:
            slope = float(values.sum()) / max(1.0, float(places.sum()))
        else:
            slope = max(0.0, float((distances * values).sum()) / spread if spread else 0.0)
        offset = float(values.mean() - slope * places.mean())
        return cls(slope, offset, places=places, residuals=values - offset - slope * places)

    def at(self, place: float) -> float:
        """The line's value at a place."""
        return self.offset + self.slope * place

    def mean_variance(self, place: float, n_all: int) -> float:
        """How far the mean over `n_all` documents may be from the line at their mean place.

        That of a regression estimate, whose points may lie the farther from the line the farther
        they are out (HC3 of MacKinnon and White, 1985), and that of the documents that are not
        among them (Cochran, Sampling Techniques, 1977, section 7.3).
        """
        n = len(self.places)
        if n == 1:  # nothing says how the others differ
            return (self.at(place) / 2) ** 2
        distances = self.places - self.places.mean()
        spread = float((distances**2).sum()) or 1.0
        leverages = np.minimum(1 / n + distances**2 / spread, _MOST_LEVERAGE)
        squares = (self.residuals / (1 - leverages)) ** 2
        shares = 1 / n + (place - self.places.mean()) * distances / spread
        unseen = max(0.0, 1 - n / n_all)
        return unseen * float((shares**2 * squares).sum() + squares.mean() / n_all)


@dataclass(frozen=True)
class TwoStepProjection:
    """Sums over a corpus from two samples, the smaller within the larger.

    All records have a size; of the larger sample a figure that goes with what is wanted is known
    (`middle`: the tokens of its first prompts), of the smaller what is wanted itself.

    Args:
        sizes: Of all records. Shape: (n_documents,).
        sampled_sizes: Of the larger sample. Shape: (n_sampled,).
        middle: Of the larger sample. Shape: (n_sampled,); the smaller one comes first.
    """

    sizes: np.ndarray
    sampled_sizes: np.ndarray
    middle: np.ndarray

    def total(self, values: np.ndarray, *, fixed: float = 0.0, deviation: float = 0.0) -> Projected:
        """The sum over the corpus of what the first documents of the sample have.

        Args:
            values: Of the smaller sample. Shape: (n_values,), at least one.
            fixed: What comes on top once, whatever the documents are.
            deviation: Standard deviation of what else is uncertain of the whole sum, relative to
                it.
        """
        n_all = len(self.sizes)
        by_size = FittedLine.through(self.sampled_sizes, self.middle)
        middle = by_size.at(float(self.sizes.mean()))
        by_middle = FittedLine.through(self.middle[: len(values)], values)
        mean = max(0.0, by_middle.at(middle))
        variance = by_middle.mean_variance(middle, n_all)
        variance += by_middle.slope**2 * by_size.mean_variance(float(self.sizes.mean()), n_all)
        variance += (deviation * (mean + fixed / n_all)) ** 2
        freedom = len(values) - 2
        quantile = _T[max(0, freedom - 1)] if freedom <= len(_T) else _Z * (1 + 1.2 / freedom)
        margin = quantile * sqrt(variance)
        # What the sample itself has is certain.
        low = max(mean - margin, float(values.sum()) / n_all)
        projected = Projected(mean * n_all, min(low, mean) * n_all, (mean + margin) * n_all)
        return projected.scaled(1.0, plus=fixed)
