"""Folds and samples of rows."""

from __future__ import annotations

import numpy as np

from mtlkit.training.solver.folds import Strata, sample, stratified_folds


def test_folds_have_rows_of_every_class() -> None:
    strata = np.array([0] * 50 + [1] * 10 + [2] * 2 + [3])
    folds = stratified_folds(strata, 5, "task", seed=0)
    assert all((np.bincount(folds[strata == stratum], minlength=5) == count).all() for stratum, count in ((0, 10), (1, 2)))
    assert len(set(folds[strata == 2])) == 2  # so that one is trained on when the other is left out
    assert folds[-1] == -1
    np.testing.assert_array_equal(folds, stratified_folds(strata, 5, "task", seed=0))
    assert (folds != stratified_folds(strata, 5, "task", seed=1)).any()


def test_a_sample_keeps_every_class() -> None:
    strata = np.array([0] * 900 + [1] * 99 + [2] * 2 + [3])
    rows = sample(strata, 100, "task", seed=0)
    assert np.bincount(strata[rows]).tolist() == [90, 10, 2, 1]
    np.testing.assert_array_equal(sample(strata, 2000, "task", seed=0), np.arange(len(strata)))


def test_groups_of_rows_stay_together() -> None:
    groups = np.repeat(np.arange(30), np.arange(30) % 4 + 1)
    strata = Strata(np.zeros(30, np.int64), groups)
    folds = strata.folds("task", seed=0)
    assert all(len(set(folds[groups == group])) == 1 for group in range(30))
    assert set(folds) == set(range(5))
    rows = strata.sample(30, "task", seed=0)
    assert 15 <= len(rows) <= 45
    assert all((groups == group).sum() == (groups[rows] == group).sum() for group in groups[rows])
    few = strata.take(rows)
    assert few.groups is not None
    assert len(few.strata) == few.groups[-1] + 1 == len(set(groups[rows]))
    assert strata.sample(1000, "task", seed=0).tolist() == list(range(len(groups)))
