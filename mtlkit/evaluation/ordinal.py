"""Ordered classes: probabilities from cumulative logits, quadratic weighted kappa and mean absolute error. No torch.

A cumulative logit, one for each class but the last, is the logit of the probability of that class or a lower one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mtlkit.evaluation.calibration_fit import Derivatives
from mtlkit.evaluation.figures import Figures, Measured
from mtlkit.evaluation.intervals import Values
from mtlkit.evaluation.metric_names import MAE, QUADRATIC_KAPPA
from mtlkit.evaluation.metrics import NO_ROWS, Array, because, known

LEAST_GAP = 1e-6  # between two cumulative logits, which may be equal after rounding


def log_probabilities(cumulative: Array) -> Values:
    """The log-probabilities of K classes, (N, K), from cumulative logits, (N, K - 1).

    P(k) = sigmoid(c_k) - sigmoid(c_k-1) = sigmoid(c_k) sigmoid(-c_k-1) (1 - exp(c_k-1 - c_k)), of which no factor loses digits.
    """
    logits = cumulative.astype(np.float64)
    logs = np.zeros((len(logits), logits.shape[1] + 1))
    logs[:, :-1] -= np.logaddexp(0.0, -logits)
    logs[:, 1:] -= np.logaddexp(0.0, logits)
    logs[:, 1:-1] += np.log(-np.expm1(-gaps_of(logits)))
    return logs


def gaps_of(cumulative: Values) -> Values:
    """The differences of neighbouring cumulative logits, (N, K - 2)."""
    return np.maximum(np.diff(cumulative, axis=1), LEAST_GAP)


def medians(cumulative: Array) -> Array:
    """The median class of each row, (N,): the lowest one that is at least as likely to be reached as not. It has the least
    expected distance from the true class."""
    classes: Array = (cumulative < 0).sum(1)
    return classes


def temperature_derivatives(cumulative: Array, classes: Array, inverse: float) -> Derivatives:
    """First and second derivative by `inverse` of -log P(k | inverse * cumulative), for `fit_temperature`."""
    logits = cumulative.astype(np.float64)
    slopes, curvatures = np.zeros((2, len(logits), logits.shape[1] + 1))
    above = 1 / (1 + np.exp(np.clip(inverse * logits, -500, 500)))  # the probability of a higher class
    variance = logits**2 * above * (1 - above)
    slopes[:, :-1] -= logits * above
    slopes[:, 1:] += logits * (1 - above)
    curvatures[:, :-1] += variance
    curvatures[:, 1:] += variance
    gaps = gaps_of(logits)
    spread = np.minimum(inverse * gaps, 500)
    slopes[:, 1:-1] -= gaps / np.expm1(spread)
    curvatures[:, 1:-1] += (gaps / (2 * np.sinh(spread / 2))) ** 2
    return Derivatives.of(slopes, curvatures, classes)


def ordinal(true: Array, predicted: Array) -> dict[str, Any]:
    """Quadratic weighted kappa (Cohen 1968) and the mean absolute error in classes, from numbers of classes, (N,)."""
    values = ordinal_figures(true, predicted).values().overall
    metrics = {name: known(float(value[0])) for name, value in values.items()}
    if not len(true):
        return metrics | because(dict.fromkeys(metrics, NO_ROWS))
    reason = f"one class in all {len(true):,} rows, true and predicted"
    return metrics | because({name: reason for name, value in metrics.items() if value is None})


def ordinal_figures(true: Array, predicted: Array) -> Figures:
    """The same as functions of the resampled rows. Kappa is 1 - observed / expected squared distance of two raters with these
    shares of classes; undefined where that is 0 / 0."""
    own, other = true.astype(np.float64), predicted.astype(np.float64)
    columns = np.stack([np.ones(len(own)), own, other, own**2, other**2, (own - other) ** 2, np.abs(own - other)], 1)

    def measure(counts: Values) -> Measured:
        rows, first, second, first_squares, second_squares, observed, distance = (counts @ columns).T
        with np.errstate(divide="ignore", invalid="ignore"):
            expected = first_squares + second_squares - 2 * first * second / rows
            kappa = np.where(expected > 0, 1 - observed / expected, np.nan)
            return Measured({QUADRATIC_KAPPA.name: kappa, MAE.name: distance / rows}, {})

    return Figures(len(true), measure)
