"""Linear models with L2 regularization, fitted by L-BFGS (Liu & Nocedal 1989) in float64."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
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
    """Vectors of N rows, (N, D), float64 or, to save memory, float32. `whole`: these rows are some of those. Fits to them compute
    in float64 if they are `exact`, else in the precision of the vectors."""

    vectors: NDArray[np.floating]
    whole: Features | None = None
    exact: bool = True

    def __len__(self) -> int:
        return len(self.vectors)

    @cached_property
    def mean(self) -> Values:
        mean: Values = self.vectors.mean(0, dtype=np.float64)
        return mean

    @cached_property
    def variances(self) -> Values:
        """Of each of the D numbers, (D,), over the whole set: they only have to be about right."""
        if self.whole is not None:
            return self.whole.variances
        total: Values = sum((np.square(block - self.mean).sum(0) for _, block in self.blocks()), np.zeros(len(self.mean)))
        return total / len(self)

    @cached_property
    def variance(self) -> float:
        """The mean squared distance of a vector from the mean: the sum of the variances of the D numbers. 0 where all vectors
        are equal but for rounding."""
        variance = sum(float(np.square(block - self.mean).sum()) for _, block in self.blocks()) / len(self)
        return variance if variance > 1e-12 * float(self.mean @ self.mean) else 0.0

    def take(self, rows: Rows) -> Features:
        return Features(self.vectors[rows], self, self.exact)

    def single(self) -> Features:
        """The same rows for fits in float32, which take half the time and are good for comparing strengths."""
        return Features(self.vectors.astype(np.float32), exact=False)

    def parts(self) -> Iterator[slice]:
        """The rows of each block."""
        return (slice(start, start + BLOCK) for start in range(0, len(self), BLOCK))

    def blocks(self) -> Iterator[tuple[slice, NDArray[np.floating]]]:
        """Blocks of rows in the precision of fits."""
        precision = np.float64 if self.exact else self.vectors.dtype
        return ((rows, self.vectors[rows].astype(precision, copy=False)) for rows in self.parts())

    def rotated(self) -> tuple[Features, PrincipalAxes]:
        """The same rows by their principal axes, R numbers each: not more than there are rows, and uncorrelated, so that scaling
        each of them conditions a fit well. L2 regularization does not depend on the axes, so fits are the same."""
        rows, dim = self.vectors.shape
        if 2 * rows <= dim:
            left, scales, basis_RD = np.linalg.svd(self.vectors.astype(np.float64) - self.mean, full_matrices=False)
            return Features(left * scales), PrincipalAxes(self.mean, basis_RD.T)
        covariance_DD = np.zeros((dim, dim))
        for _, block in self.blocks():
            covariance_DD += (block - self.mean).T @ (block - self.mean)
        axes = PrincipalAxes(self.mean, np.linalg.eigh(covariance_DD)[1])
        rotated = np.empty_like(self.vectors)
        for part, block in self.blocks():
            rotated[part] = (block - self.mean) @ axes.basis
        return Features(rotated), axes


@dataclass(frozen=True)
class PrincipalAxes:
    """The `mean` (D,) of vectors, and an orthonormal `basis` (D, R) of directions in which they differ from it."""

    mean: Values
    basis: Values

    def restore(self, fitted: LinearFit) -> LinearFit:
        """A fit to rotated vectors as one to the vectors themselves."""
        weights = self.basis @ fitted.weights
        return replace(fitted, weights=weights, intercepts=fitted.intercepts - self.mean @ weights)


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
    # in units in which the curvature is about 1 in all directions
    unit_D1 = 1.0 / np.sqrt(loss.curvature * features.variances + l2)[:, None]
    unit = 1.0 / np.sqrt(loss.curvature)
    losses = [loss.take(np.arange(rows)[part]) for part in features.parts()]

    def objective(point: Values) -> tuple[float, Values]:
        weights, free = unit_D1 * point[:size].reshape(dim, columns), unit * point[size:]
        total, slope, sums = 0.0, np.zeros((dim, columns)), np.zeros(loss.outputs)
        shift = loss.intercepts(free) - mean @ weights  # of centered vectors, so that intercepts do not depend on weights
        for (_, block), part in zip(features.blocks(), losses, strict=True):
            value, gradient = part.gradient(block @ weights.astype(block.dtype) + shift.astype(block.dtype))
            total += value
            slope += block.T @ (gradient if columns == loss.outputs else gradient.sum(1, keepdims=True)).astype(block.dtype)
            sums += gradient.sum(0)
        slope -= np.outer(mean, sums) if columns == loss.outputs else np.outer(mean, sums.sum())
        slope = unit_D1 * (slope / rows + l2 * weights)
        value = total / rows + l2 / 2 * float(weights.ravel() @ weights.ravel())
        return value, np.concatenate([slope.ravel(), unit * loss.pulled_back(free, sums / rows)])

    if start is None:
        begin = np.concatenate([np.zeros(size), loss.first / unit])
    else:
        begin = np.concatenate([(start.weights / unit_D1).ravel(), loss.free(start.intercepts + mean @ start.weights) / unit])
    limits = {"maxiter": most, "maxcor": HISTORY, "ftol": tolerance, "gtol": 1e-8}
    found = minimize(objective, begin, jac=True, method="L-BFGS-B", options=limits)
    weights = unit_D1 * found.x[:size].reshape(dim, columns)
    return LinearFit(weights, loss.intercepts(unit * found.x[size:]) - mean @ weights, int(found.nit), bool(found.success))


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
