"""Average precision and area under the ROC curve of classes, each against the rest, in resamples of rows. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtlkit.evaluation.intervals import Values
from mtlkit.evaluation.metrics import Array

BLOCK = 128  # resamples at once: what is computed of them stays in the processor's cache


@dataclass(frozen=True)
class _ClassRanking:
    """The rows of a class in descending order of their scores.

    Groups of equal scores matter where they contain a row of the class. `runs` cuts the order into runs of rows, so that each
    such group is one, and `hits` has the rows of the class in each group: sparse matrices (runs, N) and (groups, N). `last` is
    the run of each group.
    """

    runs: Any
    hits: Any
    last: NDArray[np.intp]

    def measure(self, counts: NDArray[np.float32]) -> tuple[Values, Values]:
        """Average precision and AUROC in each resample, (R,) each, from counts (N, R); NaN where one side has no rows."""
        run, hits = (matrix @ counts for matrix in (self.runs, self.hits))
        size, total = run[self.last], run.cumsum(0)[self.last]  # of each group, and of all rows up to its end
        hits_so_far = hits.cumsum(0)
        positives, rows = hits_so_far[-1], counts.sum(0)
        negatives = rows - positives
        behind = negatives - total + hits_so_far  # other rows with lower scores
        pairs = np.einsum("gr,gr->r", hits, behind + (size - hits) / 2, dtype=np.float64)
        precision = np.einsum("gr,gr->r", hits, hits_so_far / np.maximum(total, 1), dtype=np.float64)
        undefined = (positives == 0) | (negatives == 0)
        for figure, largest in ((precision, positives), (pairs, positives * negatives.astype(np.float64))):
            figure /= np.where(undefined, 1, largest)
            figure[undefined] = np.nan
        return precision, pairs


def _ranked(scores: Array, true: NDArray[np.bool_]) -> _ClassRanking | None:
    """The ranking of one class; None if all rows or none belong to it."""
    from scipy.sparse import csr_array  # an import that most commands do not need

    rows = len(true)
    if true.all() or not true.any():
        return None
    order = np.argsort(-scores, kind="stable")
    new = np.append(True, scores[order][1:] != scores[order][:-1])
    begins, members = np.flatnonzero(new), np.flatnonzero(true[order])
    groups, firsts = np.unique(np.cumsum(new)[members] - 1, return_index=True)
    ends = np.append(begins[1:], rows)[groups]
    cuts = np.unique(np.concatenate([[0, rows], begins[groups], ends]))
    ones = np.ones(rows, np.float32)
    runs = csr_array((ones, order, cuts), shape=(len(cuts) - 1, rows))
    hits = csr_array((ones[: len(members)], order[members], np.append(firsts, len(members))), shape=(len(groups), rows))
    return _ClassRanking(runs, hits, np.searchsorted(cuts, ends) - 1)


class Ranking:
    """Ranks N rows by their scores for each of C classes. scores: (N, C), the higher the likelier. true: (N, C), bool."""

    def __init__(self, scores: Array, true: NDArray[np.bool_]) -> None:
        self.classes = [_ranked(scores[:, index], true[:, index]) for index in range(true.shape[1])]

    def measure(self, counts: Values) -> tuple[Values, Values]:
        """Average precision and AUROC of each class in each resample of the rows, (R, C) each, from counts (R, N).

        Average precision is the sum of precision over steps of recall, without interpolation, as scikit-learn defines it; AUROC
        is the probability that a row of the class has a higher score than another row, ties counting half. Both are NaN in
        resamples where all rows or none belong to the class.
        """
        figures = np.full((2, len(counts), len(self.classes)), np.nan)
        for start in range(0, len(counts), BLOCK):
            some = slice(start, start + BLOCK)
            block = np.ascontiguousarray(counts[some].T, np.float32)
            for index, ranked in enumerate(self.classes):
                if ranked is not None:
                    figures[:, some, index] = ranked.measure(block)
        return figures[0], figures[1]


def mean_of_defined(values: Values) -> Values:
    """Mean over the classes for which the metric is defined, (R, C) to (R,); NaN if there are none."""
    defined = ~np.isnan(values)
    total = np.where(defined, values, 0.0).sum(1)
    return np.where(defined.any(1), total / np.maximum(1, defined.sum(1)), np.nan)
