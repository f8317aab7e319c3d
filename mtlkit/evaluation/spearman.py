"""Spearman's correlation in resamples of rows, from an order that is computed once. No torch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

BLOCK = 16  # resamples at once: what is computed of them stays in the processor's cache
LEAST_VARIANCE = 1e-12  # variance of standardised values below which they are equal except for rounding


class Ordered:
    """N values by ascending order: `order`, (N,), the number of the `group` of equal values of each row, (N,), and where in the
    order each group `begins`."""

    def __init__(self, values: NDArray[Any]) -> None:
        unique, self.group = np.unique(values, return_inverse=True)
        self.order = np.argsort(self.group, kind="stable")
        self.begins = np.searchsorted(self.group[self.order], np.arange(len(unique)))

    def ranks(self, counts: Values) -> tuple[Values, Values]:
        """The rank of each group in each resample, less the mean rank, (G, R), and the sum of their squares over rows, (R,), from
        counts (N, R). Ties, also of the copies of a row, have their mean rank."""
        copies = counts[self.order]
        if len(self.begins) < len(copies):
            copies = np.add.reduceat(copies, self.begins, axis=0)
        ranks = copies.cumsum(0)
        ranks -= copies / 2
        ranks -= len(self.order) / 2
        return ranks, np.einsum("gr,gr->r", ranks * copies, ranks)


def spearman(left: Ordered, right: Ordered, counts: Values) -> Values:
    """Spearman's correlation in each resample, (R,), from counts (R, N); NaN in resamples in which one side is constant."""
    found, rows = np.empty(len(counts)), counts.shape[1]
    for start in range(0, len(counts), BLOCK):
        part = slice(start, start + BLOCK)
        block = np.ascontiguousarray(counts[part].T)
        (first, first_squares), (second, second_squares) = (side.ranks(block) for side in (left, right))
        together = np.einsum("nr,nr->r", block * first[left.group], second[right.group])
        varies = np.minimum(first_squares, second_squares) > LEAST_VARIANCE * rows**3
        found[part] = np.where(varies, together / np.sqrt(np.where(varies, first_squares * second_squares, 1.0)), np.nan)
    return found
