"""The folds of cross-validation, and samples of rows, that spread strata evenly and keep groups of rows together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtlkit.data.batching import Rows
from mtlkit.seeding import generator

FOLDS = 5


def stratified_folds(strata: NDArray[np.int64], folds: int, *name: str, seed: int) -> Rows:
    """The fold of each row, (N,): rows of each stratum are dealt in turn. -1, which is no fold, for the only row of a stratum:
    it is always trained on."""
    random, found, dealt = generator(seed, *name), np.full(len(strata), -1, np.int64), 0
    for stratum in np.unique(strata):
        rows = random.permutation(np.flatnonzero(strata == stratum))
        if len(rows) > 1:
            found[rows] = (dealt + np.arange(len(rows))) % folds
            dealt += len(rows)
    return found


def sample(strata: NDArray[np.int64], most: int, *name: str, seed: int) -> Rows:
    """At most about `most` rows, of every stratum in proportion, two at least where there are two."""
    if len(strata) <= most:
        return np.arange(len(strata))
    random, share = generator(seed, *name), most / len(strata)
    drawn = []
    for stratum in np.unique(strata):
        rows = random.permutation(np.flatnonzero(strata == stratum))
        drawn.append(rows[: max(2, round(share * len(rows)))])
    return np.sort(np.concatenate(drawn))


@dataclass(frozen=True)
class Strata:
    """What is spread evenly over the folds of N rows, by number: `strata`, of the rows or, with `groups`, of the groups that stay
    together. `groups`, (N,): the number of the group of each row, ascending."""

    strata: NDArray[np.int64]
    groups: NDArray[np.int64] | None = None

    def sample(self, most: int, *name: str, seed: int) -> Rows:
        """About `most` rows at most, in whole groups, of every stratum in proportion."""
        if self.groups is None:
            return sample(self.strata, most, *name, seed=seed)
        groups = round(most * len(self.strata) / max(1, len(self.groups)))
        return np.flatnonzero(np.isin(self.groups, sample(self.strata, groups, *name, seed=seed)))

    def take(self, rows: Rows) -> Strata:
        """Of these rows, which are whole groups."""
        if self.groups is None:
            return Strata(self.strata[rows])
        kept, groups = np.unique(self.groups[rows], return_inverse=True)
        return Strata(self.strata[kept], groups)

    def folds(self, *name: str, seed: int) -> Rows:
        """The fold of each row; see `stratified_folds`."""
        folds = stratified_folds(self.strata, FOLDS, *name, seed=seed)
        return folds if self.groups is None else folds[self.groups]
