"""The loss of ordered classes as a convex function of scores and thresholds (Pratt 1981), for the L-BFGS solver."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mtlkit.data.batching import Rows
from mtlkit.evaluation.intervals import Values
from mtlkit.evaluation.ordinal import gaps_of, log_probabilities
from mtlkit.inference.predictions import sigmoid

NARROWEST = 1e-3  # gap between two thresholds: a class without rows would have none


@dataclass(frozen=True)
class CumulativeLoss:
    """Negative log-likelihood of one of K + 1 ordered classes a row, (N,) int64, under K cumulative logits, with label smoothing.

    The logits of a row share the weights. Their intercepts are the thresholds, which ascend: they are the sums of the first free
    number and the exponentials of the others.
    """

    classes: NDArray[np.int64]
    outputs: int
    weights: Values
    smoothing: float = 0.0
    curvature: ClassVar[float] = 0.25
    columns: int = 1

    def take(self, rows: Rows) -> CumulativeLoss:
        return CumulativeLoss(self.classes[rows], self.outputs, self.weights[rows], self.smoothing)

    @property
    def first(self) -> Values:
        """Thresholds at which all classes are equally likely."""
        shares = np.arange(1, self.outputs + 1) / (self.outputs + 1)
        return self.free(np.log(shares / (1 - shares)))

    def free(self, intercepts: Values) -> Values:
        return np.concatenate([intercepts[:1], np.log(np.maximum(np.diff(intercepts) - NARROWEST, 1e-12))])

    def intercepts(self, free: Values) -> Values:
        return np.cumsum(np.concatenate([free[:1], NARROWEST + np.exp(np.minimum(free[1:], 500))]))

    def pulled_back(self, free: Values, gradient: Values) -> Values:
        later: Values = gradient[::-1].cumsum()[::-1]  # a gap moves all thresholds after it
        later[1:] *= np.exp(np.minimum(free[1:], 500))
        return later

    @cached_property
    def _targets(self) -> Values:
        """The weighted share of each class in the target of each row, (N, K + 1)."""
        targets = np.full((len(self.classes), self.outputs + 1), self.smoothing / (self.outputs + 1))
        targets[np.arange(len(targets)), self.classes] += 1 - self.smoothing
        return targets * self.weights[:, None]

    def each(self, outputs_NK: Values) -> Values:
        losses: Values = -self.weights * log_probabilities(outputs_NK)[np.arange(len(outputs_NK)), self.classes]
        return losses

    def gradient(self, outputs_NK: NDArray[np.floating]) -> tuple[float, Values]:
        targets, logits = self._targets, outputs_NK.astype(np.float64)  # gaps of thresholds are small differences
        reached = sigmoid(logits)
        gradient = targets[:, 1:] * reached - targets[:, :-1] * (1 - reached)
        pulls = targets[:, 1:-1] / np.expm1(np.minimum(gaps_of(logits), 500))
        gradient[:, 1:] -= pulls
        gradient[:, :-1] += pulls
        return -float((targets * log_probabilities(logits)).sum()), gradient
