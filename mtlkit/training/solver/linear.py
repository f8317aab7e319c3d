"""Linear models with L2 regularization, fitted by L-BFGS (Liu & Nocedal 1989) in float64."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mtlkit.data.batching import Rows
from mtlkit.evaluation.intervals import Values
from mtlkit.tasks.convex import ConvexLoss, SquaredLoss

BLOCK = 8192  # rows whose outputs are in memory at a time
HISTORY = 10  # pairs that L-BFGS remembers


@dataclass(frozen=True)
class LinearFit:
    """Weights (D, K), or (D, 1) if all outputs share them, and intercepts (K,): outputs are `vectors @ weights + intercepts`.
    `iterations` were taken; `converged`: until the gradient was small enough."""

    weights: Values
    intercepts: Values
    iterations: int = 0
    converged: bool = True

    def outputs(self, vectors: NDArray[np.floating]) -> Values:
        """(N, K), from vectors (N, D)."""
        outputs: Values = vectors @ self.weights + self.intercepts
        return outputs


@dataclass(frozen=True)
class Features:
    """Vectors of N rows, (N, D), float64 or, to save memory, float32."""

    vectors: NDArray[np.floating]

    def __len__(self) -> int:
        return len(self.vectors)

    @cached_property
    def mean(self) -> Values:
        mean: Values = self.vectors.mean(0, dtype=np.float64)
        return mean

    @cached_property
    def variance(self) -> float:
        """The mean squared distance of a vector from the mean: the sum of the variances of the D numbers. 0 where all vectors
        are equal but for rounding."""
        total = sum(float(np.square(block - self.mean).sum()) for _, block in self.blocks())
        variance = total / len(self)
        return variance if variance > 1e-12 * float(self.mean @ self.mean) else 0.0

    def take(self, rows: Rows) -> Features:
        return Features(self.vectors[rows])

    def blocks(self) -> Iterator[tuple[slice, Values]]:
        """Blocks of rows in float64."""
        for start in range(0, len(self), BLOCK):
            rows = slice(start, start + BLOCK)
            yield rows, self.vectors[rows].astype(np.float64, copy=False)

    def rotated(self) -> tuple[Features, Values]:
        """The same rows in an orthonormal basis (D, R) of the space that they span, where that has fewer dimensions. Fits
        there are the same, as L2 regularization does not depend on the basis, and faster."""
        rows, dim = self.vectors.shape
        if 2 * rows > dim:  # hardly fewer
            return self, np.eye(dim)
        left, scales, basis_RD = np.linalg.svd(self.vectors.astype(np.float64), full_matrices=False)
        return Features(left * scales), basis_RD.T


def fit(
    features: Features,
    loss: ConvexLoss,
    l2: float,
    start: LinearFit | None = None,
    *,
    tolerance: float = 1e-14,
    most: int = 500,
) -> LinearFit:
    """Minimises mean loss + l2 / 2 * |weights|^2; intercepts are not regularized.

    Stops after `most` iterations, or when one lowers the objective by less than `tolerance` of its value. `start` is where it
    begins (None: at 0).
    """
    if isinstance(loss, SquaredLoss):
        return ridge(features, loss, l2)
    from scipy.optimize import minimize  # the import takes time that most commands do not need

    rows, dim, columns = len(features), features.vectors.shape[1], loss.columns
    size, mean = dim * columns, features.mean
    # weights are in units in which a step of 1 changes outputs by about 1, so that L-BFGS begins with a sensible step
    unit = 1.0 / np.sqrt(features.variance) if features.variance else 1.0
    # centered, so that intercepts do not depend on weights; kept where it is one block
    blocks = [(features.vectors - mean, loss)] if rows <= BLOCK else None

    def centered() -> Iterator[tuple[Values, ConvexLoss]]:
        yield from blocks or ((block - mean, loss.take(np.arange(rows)[part])) for part, block in features.blocks())

    def objective(point: Values) -> tuple[float, Values]:
        weights, intercepts = unit * point[:size].reshape(dim, columns), loss.intercepts(point[size:])
        total, slope, sums = 0.0, np.zeros((dim, columns)), np.zeros(loss.outputs)
        for block, part in centered():
            value, gradient = part.gradient(block @ weights + intercepts)
            total += value
            slope += block.T @ (gradient if columns == loss.outputs else gradient.sum(1, keepdims=True))
            sums += gradient.sum(0)
        slope = unit * (slope / rows + l2 * weights)
        value = total / rows + l2 / 2 * float(weights.ravel() @ weights.ravel())
        return value, np.concatenate([slope.ravel(), loss.pulled_back(point[size:], sums / rows)])

    if start is None:
        begin = np.concatenate([np.zeros(size), loss.first])
    else:
        begin = np.concatenate([start.weights.ravel() / unit, loss.free(start.intercepts + mean @ start.weights)])
    limits = {"maxiter": most, "maxcor": HISTORY, "ftol": tolerance, "gtol": 1e-8}
    found = minimize(objective, begin, jac=True, method="L-BFGS-B", options=limits)
    weights = unit * found.x[:size].reshape(dim, columns)
    return LinearFit(weights, loss.intercepts(found.x[size:]) - mean @ weights, int(found.nit), bool(found.success))


def ridge(features: Features, loss: SquaredLoss, l2: float) -> LinearFit:
    """The same for a squared error, in closed form: the normal equations of weighted, centered rows."""
    dim, weights = features.vectors.shape[1], loss.weights
    total = weights.sum()
    mean_D = sum(weights[rows] @ block for rows, block in features.blocks()) / total
    mean = float(weights @ loss.numbers) / total
    products_DD, targets_D = l2 * len(features) * np.eye(dim), np.zeros(dim)
    for rows, block in features.blocks():
        scaled = weights[rows, None] * (block - mean_D)
        products_DD += scaled.T @ (block - mean_D)
        targets_D += scaled.T @ (loss.numbers[rows] - mean)
    found: Values = np.linalg.solve(products_DD, targets_D)[:, None].astype(np.float64)
    return LinearFit(found, mean - mean_D @ found, 1)
