"""Confidence intervals (95 %) and significance tests, without torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import isnan, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtlkit.evaluation.spearman import LEAST_VARIANCE, Ordered, spearman

Values = NDArray[np.float64]
Measure = Callable[[Values], Values]  # counts of N rows in each resample, (R, N) -> the metric of each resample, (R,)

Z = 1.959963984540054  # quantile for a two-sided 95 % interval
RESAMPLES = 1000
AT_ONCE = 1 << 19  # maximum numbers in one chunk of resamples: 4 MiB each, of which a metric needs several


@dataclass(frozen=True)
class Interval:
    """The ends of a 95 % interval; both are NaN if it is undefined."""

    low: float
    high: float

    @property
    def ends(self) -> tuple[float, float]:
        return self.low, self.high

    def to_json(self) -> list[float] | None:
        return None if isnan(self.low) else [self.low, self.high]

    @property
    def holds_zero(self) -> bool:
        """Whether the interval contains 0 or is undefined."""
        return not (self.low > 0 or self.high < 0)


def wilson(hits: int, total: int) -> Interval:
    """Interval of a proportion, `hits` of `total` (Wilson 1927). Unlike the normal approximation, it stays within 0 and 1."""
    share, weight = hits / total, Z * Z / total
    middle = (share + weight / 2) / (1 + weight)
    half = Z / (1 + weight) * sqrt(share * (1 - share) / total + weight / (4 * total))
    return Interval(middle - half if hits else 0.0, middle + half if hits < total else 1.0)


def bootstrap_correlations(left: Values, right: Values, random: np.random.Generator) -> tuple[Interval, Interval]:
    """Intervals of Pearson's and Spearman's correlation of two lists of N values: percentile bootstrap over the N pairs (Efron
    1979).

    Each resample draws N pairs with replacement. It is stored as counts of the pairs, so that no resample needs sorting.
    """
    plain, ranked = pearson_of(left, right), spearman_of(left, right)
    samples = [(plain(counts), ranked(counts)) for counts in resamples(len(left), random)]
    pearson, spearman = (np.concatenate(pieces) for pieces in zip(*samples, strict=True))
    return percentiles(pearson), percentiles(spearman)


def bootstrap_interval(measure: Measure, rows: int, random: np.random.Generator) -> Interval:
    """Interval of a metric of N rows: percentile bootstrap (Efron 1979)."""
    return percentiles(np.concatenate([measure(counts) for counts in resamples(rows, random)]))


def bootstrap_change(before: Measure, after: Measure, rows: int, random: np.random.Generator) -> Interval:
    """Interval of `after` - `before`, metrics of two models on the same rows: paired percentile bootstrap (Efron 1979; Koehn
    2004).

    Both are measured on the same resamples, which cancels out the shared difficulty of rows. With few rows the interval is too
    narrow.
    """
    return bootstrap_interval(lambda counts: after(counts) - before(counts), rows, random)


def student(values: Sequence[float]) -> Interval | None:
    """Interval of the mean of a few values by Student's t; None for fewer than two."""
    if len(values) < 2:
        return None
    from scipy.stats import t  # the import takes half a second that most commands do not need

    half = float(t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / sqrt(len(values)))
    return Interval(float(np.mean(values)) - half, float(np.mean(values)) + half)


def mcnemar(only_one: int, only_other: int) -> float:
    """p-value for two models being equally accurate, from the number of rows that only one of them gets right (McNemar 1947).

    The exact two-sided binomial test, which unlike chi-squared is also valid for few rows.
    """
    if only_one == only_other:
        return 1.0
    from scipy.stats import binomtest

    return float(binomtest(only_one, only_one + only_other).pvalue)


def permutation_p(
    figure: Callable[[NDArray[Any]], float], left: NDArray[Any], right: NDArray[Any], random: np.random.Generator
) -> float:
    """p-value for two models having the same metric, by a two-sided paired permutation test (Noreen 1989).

    `left` and `right` are their outputs on N rows, (N, ...), and `figure` computes the metric. Under the null hypothesis,
    swapping their outputs on random rows does not change the distribution of the difference.
    """
    wanted = abs(figure(left) - figure(right)) - LEAST_VARIANCE  # ignores rounding errors
    if isnan(wanted):  # the metric of a model is undefined
        return 1.0
    reached = 0
    for _ in range(RESAMPLES):
        swapped = (random.random(len(left)) < 0.5).reshape(-1, *[1] * (left.ndim - 1))
        reached += abs(figure(np.where(swapped, right, left)) - figure(np.where(swapped, left, right))) >= wanted
    return (1 + reached) / (1 + RESAMPLES)


def holm(chances: Sequence[float]) -> list[float]:
    """Adjusts the p-values of several tests to control the family-wise error rate (Holm 1979)."""
    adjusted, largest = [0.0] * len(chances), 0.0
    for rank, index in enumerate(sorted(range(len(chances)), key=chances.__getitem__)):
        largest = max(largest, min(1.0, (len(chances) - rank) * chances[index]))
        adjusted[index] = largest
    return adjusted


def mean_of(values: NDArray[Any]) -> Measure:
    """The mean of N values; for hits (0 or 1), the accuracy."""
    numbers = values.astype(np.float64)
    return lambda counts: counts @ numbers / len(numbers)


def pearson_of(left: Values, right: Values) -> Measure:
    """Pearson's correlation of two lists of N values; NaN in resamples in which one side is constant."""
    sides = _standardised(left), _standardised(right)
    return lambda counts: _correlations(*sides, counts)


def spearman_of(left: NDArray[Any], right: NDArray[Any]) -> Measure:
    """Spearman's correlation of two lists of N values; NaN in resamples in which one side is constant."""
    sides = Ordered(left), Ordered(right)
    return lambda counts: spearman(*sides, counts)


def resamples(rows: int, random: np.random.Generator, draws: int | None = None) -> Iterator[Values]:
    """Counts of each row in each of `draws` resamples (by default RESAMPLES), in chunks (resamples, rows)."""
    step, draws = max(1, AT_ONCE // rows), RESAMPLES if draws is None else draws
    for start in range(0, draws, step):
        count = min(step, draws - start)
        drawn = random.integers(rows, size=(count, rows)) + rows * np.arange(count)[:, None]
        yield np.bincount(drawn.ravel(), minlength=count * rows).reshape(count, rows).astype(np.float64)


def _correlations(left: Values, right: Values, counts: Values) -> Values:
    """Pearson's correlation in each resample; NaN in resamples in which one side is constant."""
    total = counts.sum(1, keepdims=True)
    left = left - (counts * left).sum(1, keepdims=True) / total
    right = right - (counts * right).sum(1, keepdims=True) / total
    variances = [(counts * side**2).sum(1) / total[:, 0] for side in (left, right)]
    varies = np.minimum(*variances) > LEAST_VARIANCE
    together = (counts * left * right).sum(1) / total[:, 0]
    return np.where(varies, together / np.sqrt(np.where(varies, variances[0] * variances[1], 1.0)), np.nan)


def _standardised(values: Values) -> Values:
    centred = values - values.mean()
    return centred / centred.std() if np.ptp(values) else np.zeros_like(values)


def percentiles(values: Values) -> Interval:
    """The interval of a metric from its values in all resamples, (R,), some of which may be undefined (NaN)."""
    values = values[~np.isnan(values)]
    if not len(values):
        return Interval(float("nan"), float("nan"))
    low, high = np.percentile(values, [2.5, 97.5])
    return Interval(float(low), float(high))
