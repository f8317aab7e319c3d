"""Fits a temperature or thresholds on held-out rows. Imports no torch and prints nothing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mtlkit.evaluation.metrics import Array

LOWEST, HIGHEST = 0.05, 20.0  # bounds of a temperature
CLOSE = 1e-10  # relative change of 1 / temperature at which Newton's method has converged
EQUAL = 1e-12  # difference of F1 that is rounding
ITERATIONS = 100
ENOUGH = 20_000  # rows for one number; of more, evenly spaced ones are used
AT_ONCE = 1 << 17  # maximum logits in one chunk


def fit_temperature(logits: Array, labels: Array) -> float:
    """The temperature T with the least log-loss of softmax(logits / T), from logits (N, C) and classes (N,) (Guo et al. 2017).

    One more row counts, which is like the average row but equally likely of every class. As in Platt (1999), it keeps T within
    reason if all rows are right, or if there are few; with hundreds of rows, it hardly matters. The loss is convex in 1 / T, so
    that Newton's method with bisection finds its minimum. T is 1 where it makes no difference, as all logits of a row are equal.
    """
    step = -(-len(logits) // ENOUGH)
    logits, labels = logits[::step], labels[::step]
    low, high = 1 / HIGHEST, 1 / LOWEST
    inverse, tried = 1.0, {1.0}
    for _ in range(ITERATIONS):
        slope, curvature = _derivatives(logits, labels, inverse)
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


def _derivatives(logits: Array, labels: Array, inverse: float) -> tuple[float, float]:
    """First and second derivative of the log-loss by 1 / T, both summed over rows."""
    slope, curvature = 0.0, 0.0
    rows = max(1, AT_ONCE // logits.shape[1])
    for start in range(0, len(logits), rows):
        chunk, classes = logits[start : start + rows].astype(np.float64), labels[start : start + rows]
        chunk -= chunk.max(1, keepdims=True)
        shares = np.exp(chunk * inverse)
        shares /= shares.sum(1, keepdims=True)
        mean = (shares * chunk).sum(1)
        variance = (shares * chunk**2).sum(1) - mean**2
        uniform = mean - chunk.mean(1)
        slope += float((mean - chunk[np.arange(len(chunk)), classes]).sum() + uniform.sum() / len(logits))
        curvature += float(variance.sum() * (1 + 1 / len(logits)))
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
