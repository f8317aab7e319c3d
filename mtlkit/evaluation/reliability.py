"""How far the probabilities of a head can be believed, with 95 % intervals. Imports no torch and prints nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtlkit.evaluation.calibration import BINS, Forecast, bin_of, calibration_error
from mtlkit.evaluation.intervals import Interval, Measure, Values, bootstrap_interval, mean_of, wilson


@dataclass(frozen=True)
class Bin:
    """The forecasts with a confidence above `low`, up to `high`: their number, how many were right, and the mean confidence."""

    low: float
    high: float
    count: int
    right: int
    confidence: float

    @property
    def accuracy(self) -> float:
        return self.right / self.count

    @property
    def interval(self) -> Interval:
        """Of the accuracy."""
        return wilson(self.right, self.count)

    @property
    def gap(self) -> float:
        """Confidence minus accuracy: positive if overconfident."""
        return self.confidence - self.accuracy

    def to_json(self) -> dict[str, Any]:
        figures = {"confidence": self.confidence, "accuracy": self.accuracy, "interval": self.interval.to_json()}
        return {"low": self.low, "high": self.high, "count": self.count, **figures}


@dataclass(frozen=True)
class Estimate:
    """A figure and its interval."""

    value: float
    interval: Interval


@dataclass(frozen=True)
class Reliability:
    """The expected calibration error, Brier score and log-loss of a head, and the bins of its confidence that are not empty. With
    several `labels` per row, the figures are means over labels and the bins contain the forecasts of all labels.
    """

    error: Estimate
    brier: Estimate
    log_loss: Estimate
    bins: tuple[Bin, ...]
    labels: int = 1

    def to_json(self) -> dict[str, Any]:
        named = {"expected_calibration_error": self.error, "brier": self.brier, "log_loss": self.log_loss}
        figures = {name: estimate.value for name, estimate in named.items()}
        intervals = {f"{name}_interval": estimate.interval.to_json() for name, estimate in named.items()}
        return {**figures, **intervals, "bins": [bucket.to_json() for bucket in self.bins]}


def reliability(forecast: Forecast, random: np.random.Generator) -> Reliability:
    """Measures the forecasts of N rows. The interval of the calibration error is the basic bootstrap's (Davison & Hinkley 1997):
    that of percentiles would be too high, because resampling adds noise to every bin.
    """
    value, rows = calibration_error(forecast), len(forecast.log_loss)
    drawn = bootstrap_interval(error_of(forecast), rows, random)
    error = Estimate(value, Interval(max(0.0, 2 * value - drawn.high), max(0.0, 2 * value - drawn.low)))
    brier, log_loss = (
        Estimate(float(scores.mean()), bootstrap_interval(mean_of(scores), rows, random))
        for scores in (forecast.brier, forecast.log_loss)
    )
    return Reliability(error, brier, log_loss, bins_of(forecast), forecast.confidence.shape[1])


def error_of(forecast: Forecast) -> Measure:
    """The expected calibration error as a function of the resampled rows."""
    gaps, bins = forecast.confidence - forecast.right, bin_of(forecast.confidence)

    def measure(counts: Values) -> Values:
        errors = np.zeros(len(counts))
        for label_gaps, label_bins in zip(gaps.T, bins.T, strict=True):
            binned = np.where(label_bins[:, None] == np.arange(BINS), label_gaps[:, None], 0.0)
            errors += np.abs(counts @ binned).sum(1)
        return errors / gaps.size

    return measure


def bins_of(forecast: Forecast) -> tuple[Bin, ...]:
    """The bins that are not empty, from the lowest confidence on."""
    confidence, right = forecast.confidence.ravel(), forecast.right.ravel()
    bins = bin_of(confidence)
    counts, hits, sums = (_sums(bins, weights) for weights in (np.ones_like(confidence), right, confidence))
    return tuple(
        Bin(number / BINS, (number + 1) / BINS, int(counts[number]), int(hits[number]), float(sums[number] / counts[number]))
        for number in np.flatnonzero(counts).tolist()
    )


def _sums(bins: NDArray[np.int64], weights: NDArray[Any]) -> NDArray[np.float64]:
    return np.bincount(bins, weights=weights, minlength=BINS).astype(np.float64)
