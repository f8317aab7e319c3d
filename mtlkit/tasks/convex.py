"""Losses of linear heads that are convex in the head's outputs, in numpy: what the L-BFGS solver minimises.

All are means over rows with weights w_n, normalised by the number of rows, as in the losses of `model/heads/losses.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from mtlkit.data.batching import Rows
from mtlkit.evaluation.intervals import Values
from mtlkit.inference.predictions import sigmoid


class ConvexLoss(Protocol):
    """A loss of N rows with K outputs each, and its gradient.

    Intercepts may be constrained. They are functions of `free` numbers, K of them, of which `first` are those to begin with.
    """

    @property
    def outputs(self) -> int:
        """K."""
        ...

    @property
    def columns(self) -> int:
        """The number of columns of the weights: K, or 1 if all outputs share them."""
        ...

    @property
    def first(self) -> Values: ...

    def free(self, intercepts: Values) -> Values: ...

    def intercepts(self, free: Values) -> Values: ...

    def pulled_back(self, free: Values, gradient: Values) -> Values:
        """The gradient by the free numbers, from that by the intercepts, (K,)."""
        ...

    @property
    def weights(self) -> Values:
        """The weight of each row, (N,)."""
        ...

    @property
    def curvature(self) -> float:
        """About the second derivative of a row's loss by one output, before the head knows anything."""
        ...

    def take(self, rows: Rows) -> ConvexLoss:
        """The loss of these rows alone."""
        ...

    def each(self, outputs_NK: Values) -> Values:
        """The weighted loss of each row, (N,), without label smoothing: what strengths are compared by."""
        ...

    def gradient(self, outputs_NK: NDArray[np.floating]) -> tuple[float, Values]:
        """The sum of the weighted losses, and its gradient by the outputs, (N, K)."""
        ...


class HasOutputs(Protocol):
    @property
    def outputs(self) -> int: ...


class Unconstrained:
    """Intercepts that may have any value."""

    @property
    def columns(self: HasOutputs) -> int:
        return self.outputs

    @property
    def first(self: HasOutputs) -> Values:
        return np.zeros(self.outputs)

    def free(self, intercepts: Values) -> Values:
        return intercepts

    def intercepts(self, free: Values) -> Values:
        return free

    def pulled_back(self, free: Values, gradient: Values) -> Values:
        return gradient


@dataclass(frozen=True)
class SoftmaxLoss(Unconstrained):
    """Cross-entropy of one class a row, (N,) int64, with label smoothing (Szegedy et al. 2016)."""

    classes: NDArray[np.int64]
    outputs: int
    weights: Values
    smoothing: float = 0.0

    @property
    def curvature(self) -> float:
        return (1 - 1 / self.outputs) / self.outputs or 1.0  # p (1 - p) of equally likely classes

    def take(self, rows: Rows) -> SoftmaxLoss:
        return SoftmaxLoss(self.classes[rows], self.outputs, self.weights[rows], self.smoothing)

    def each(self, outputs_NK: Values) -> Values:
        shifted = outputs_NK - outputs_NK.max(1, keepdims=True)
        right = shifted[np.arange(len(shifted)), self.classes]
        losses: Values = self.weights * (np.log(np.exp(shifted).sum(1)) - right)
        return losses

    def gradient(self, outputs_NK: NDArray[np.floating]) -> tuple[float, Values]:
        rows = np.arange(len(outputs_NK))
        shifted = outputs_NK - outputs_NK.max(1, keepdims=True)
        target = (1 - self.smoothing) * shifted[rows, self.classes] + self.smoothing * shifted.mean(1)
        powers = np.exp(shifted, out=shifted)
        totals = powers.sum(1)
        loss = float(self.weights @ (np.log(totals) - target))
        powers /= totals[:, None]
        powers -= self.smoothing / self.outputs
        powers[rows, self.classes] -= 1 - self.smoothing
        powers *= self.weights[:, None]
        return loss, powers


@dataclass(frozen=True)
class SigmoidLoss(Unconstrained):
    """Binary cross-entropy of K labels a row, 0 or 1, (N, K), summed over labels: K independent logistic regressions.

    `label_weights`, (K, 2), weigh the absence and the presence of each label.
    """

    marks: Values
    weights: Values
    label_weights: Values | None = None
    smoothing: float = 0.0
    curvature: ClassVar[float] = 0.25

    @property
    def outputs(self) -> int:
        return int(self.marks.shape[1])

    def take(self, rows: Rows) -> SigmoidLoss:
        return SigmoidLoss(self.marks[rows], self.weights[rows], self.label_weights, self.smoothing)

    def _scales(self) -> Values:
        """The weight of each row and label, (N, K)."""
        if self.label_weights is None:
            return np.broadcast_to(self.weights[:, None], self.marks.shape)
        absent, present = self.label_weights.T
        scales: Values = self.weights[:, None] * np.where(self.marks > 0.5, present, absent)
        return scales

    def _losses(self, outputs_NK: NDArray[np.floating], targets: Values) -> Values:
        losses: Values = np.logaddexp(0.0, outputs_NK) - targets * outputs_NK
        return losses

    def each(self, outputs_NK: Values) -> Values:
        losses: Values = (self._scales() * self._losses(outputs_NK, self.marks)).sum(1)
        return losses

    def gradient(self, outputs_NK: NDArray[np.floating]) -> tuple[float, Values]:
        targets = (1 - self.smoothing) * self.marks + self.smoothing / 2
        scales = self._scales()
        loss = float((scales * self._losses(outputs_NK, targets)).sum())
        return loss, scales * (sigmoid(outputs_NK) - targets)


@dataclass(frozen=True)
class SquaredLoss(Unconstrained):
    """Half the squared error of one number a row, (N,): ridge regression."""

    numbers: Values
    weights: Values
    outputs: int = 1
    curvature: ClassVar[float] = 1.0

    def take(self, rows: Rows) -> SquaredLoss:
        return SquaredLoss(self.numbers[rows], self.weights[rows])

    def each(self, outputs_NK: Values) -> Values:
        losses: Values = self.weights * np.square(outputs_NK[:, 0] - self.numbers) / 2
        return losses

    def gradient(self, outputs_NK: NDArray[np.floating]) -> tuple[float, Values]:
        errors = outputs_NK[:, 0] - self.numbers
        return float(self.weights @ np.square(errors)) / 2, (self.weights * errors)[:, None]
