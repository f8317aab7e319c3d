"""Fits a temperature or thresholds on held-out rows. Imports no torch and prints nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtlkit.evaluation.metrics import Array

LOWEST, HIGHEST = 0.05, 20.0  # bounds of a temperature
CLOSE = 1e-10  # relative change of 1 / temperature at which Newton's method has converged
EQUAL = 1e-12  # difference of F1 that is rounding
ITERATIONS = 100
ENOUGH = 20_000  # rows for one number; of more, evenly spaced ones are used
AT_ONCE = 1 << 17  # maximum logits in one chunk


class Derivatives(NamedTuple):
    """First and second derivative of a log-loss by 1 / temperature: that of each row for its true class, summed over rows, and
    for the mean over all classes."""

    slope: float
    curvature: float
    uniform_slope: float
    uniform_curvature: float

    @classmethod
    def of(cls, slopes: Array, curvatures: Array, classes: Array) -> Derivatives:
        """From the derivatives for each class, (N, C), and the true classes, (N,)."""
        rows = np.arange(len(classes))
        slope, curvature = (float(values[rows, classes].sum()) for values in (slopes, curvatures))
        return cls(slope, curvature, float(slopes.mean(1).sum()), float(curvatures.mean(1).sum()))


Differentiate = Callable[[Array, Array, float], Derivatives]  # of outputs (N, outputs) and classes (N,), at 1 / temperature


def softmax_derivatives(logits: Array, classes: Array, inverse: float) -> Derivatives:
    """Of -log softmax(inverse * logits), (N, C)."""
    logits = logits.astype(np.float64)
    logits -= logits.max(1, keepdims=True)
    shares = np.exp(logits * inverse)
    shares /= shares.sum(1, keepdims=True)
    mean = (shares * logits).sum(1)
    variance = float(((shares * logits**2).sum(1) - mean**2).sum())
    slope = float((mean - logits[np.arange(len(logits)), classes]).sum())
    return Derivatives(slope, variance, float((mean - logits.mean(1)).sum()), variance)


def fit_temperature(outputs: Array, labels: Array, differentiate: Differentiate = softmax_derivatives) -> float:
    """The temperature T with the least log-loss of outputs / T, (N, outputs), for classes (N,): logits of a softmax by default
    (Guo et al. 2017).

    One more row counts, which is like the average row but equally likely of every class. As in Platt (1999), it keeps T within
    reason if all rows are right, or if there are few; with hundreds of rows, it hardly matters. The loss is convex in 1 / T, so
    that Newton's method with bisection finds its minimum. T is 1 where it makes no difference, as all logits of a row are equal.
    """
    step = -(-len(outputs) // ENOUGH)
    outputs, labels = outputs[::step], labels[::step]
    low, high = 1 / HIGHEST, 1 / LOWEST
    inverse, tried = 1.0, {1.0}
    for _ in range(ITERATIONS):
        slope, curvature = _derivatives(outputs, labels, inverse, differentiate)
        if slope == 0:
            break
        low, high = (inverse, high) if slope < 0 else (low, inverse)
        newton = inverse - slope / curvature if curvature > 0 else inverse
        following = min(max(newton, low), high)
        if following in tried:  # a bound that is not the minimum, or no curvature
            following = (low * high) ** 0.5
        tried.add(following)
        if abs(following - inverse) <= CLOSE * inverse:
            break
        inverse = following
    return float(np.clip(1 / inverse, LOWEST, HIGHEST))


def _derivatives(outputs: Array, labels: Array, inverse: float, differentiate: Differentiate) -> tuple[float, float]:
    """First and second derivative of the log-loss by 1 / T, both summed over rows."""
    slope, curvature = 0.0, 0.0
    rows = max(1, AT_ONCE // outputs.shape[1])
    for start in range(0, len(outputs), rows):
        some = slice(start, start + rows)
        found = differentiate(outputs[some], labels[some], inverse)
        slope += found.slope + found.uniform_slope / len(outputs)
        curvature += found.curvature + found.uniform_curvature / len(outputs)
    return slope, curvature


def fit_thresholds(probabilities: Array, true: Array) -> tuple[float, ...]:
    """The threshold of each label with the best F1 (Lipton, Elkan & Narayanaswamy 2014), from probabilities and labels, both
    (N, labels). Thresholds are midway between two probabilities; of equally good ones, the one closest to 0.5 is taken. A label
    that no row has keeps 0.5.
    """
    columns = zip(probabilities.T.astype(np.float64), true.T > 0.5, strict=True)
    return tuple(best_threshold(column, present) for column, present in columns)


def best_threshold(probabilities: NDArray[np.float64], present: NDArray[np.bool_]) -> float:
    """The threshold of a single label with the best F1, from N probabilities and whether each row has the label."""
    if not present.any():
        return 0.5
    order = np.argsort(-probabilities, kind="stable")
    ranked = probabilities[order]
    hits = present[order].cumsum()
    f1 = 2 * hits / (np.arange(1, len(ranked) + 1) + hits[-1])
    following = np.append(ranked[1:], 0.0)
    middles = (ranked + following) / 2
    cuts = np.flatnonzero((middles < ranked) & (middles >= following))  # rows of equal probability cannot be told apart
    best = cuts[f1[cuts] >= f1[cuts].max(initial=0.0) - EQUAL]
    return float(min(middles[best], key=lambda middle: abs(middle - 0.5), default=0.5))
