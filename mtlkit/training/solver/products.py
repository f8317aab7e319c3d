"""The inner product of both vectors of a pair, which heads on [u, v, |u - v|, u * v] can express by equal weights of u * v.

Sentence encoders are trained for it, so it says more than any other direction: regularization spares it, and heads start with it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mtlkit.config.architecture import PAIR_PARTS
from mtlkit.training.solver.linear import LinearFit


def part_of_product(width: int) -> slice:
    """Where u * v is among the `width` numbers that a head reads for a pair."""
    return slice(width // PAIR_PARTS * (PAIR_PARTS - 1), width)


def products(inputs: NDArray[np.floating]) -> NDArray[np.floating]:
    """The inner product of each pair, (N, 1), from what its head reads, (N, 4 D)."""
    product: NDArray[np.floating] = inputs[:, part_of_product(inputs.shape[1])].sum(1, keepdims=True)
    return product


def with_products(inputs: NDArray[np.floating]) -> NDArray[np.floating]:
    """What heads read for N pairs, and the inner products, (N, 4 D + 1): with a column of its own, regularization counts it
    as one weight instead of D."""
    return np.concatenate([inputs, products(inputs)], 1)


def folded(fitted: LinearFit) -> LinearFit:
    """A fit to `with_products` as one to what heads read: each weight of u * v has that of the product, too."""
    weights = fitted.weights[:-1].copy()
    weights[part_of_product(len(weights))] += fitted.weights[-1]
    return LinearFit(weights, fitted.intercepts, fitted.iterations, fitted.converged)
