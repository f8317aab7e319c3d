"""Spearman's correlation in resamples, against ranks of the repeated rows."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import rankdata

from mtlkit.evaluation.intervals import resamples
from mtlkit.evaluation.spearman import BLOCK, Ordered, spearman


def by_hand(left: np.ndarray, right: np.ndarray, counts: np.ndarray) -> float:
    rows = np.repeat(np.arange(len(left)), counts.astype(int))
    return float(np.corrcoef(rankdata(left[rows]), rankdata(right[rows]))[0, 1])


@pytest.mark.parametrize("decimals", [8, 1, 0])
def test_ranks_are_those_of_the_repeated_rows(decimals: int) -> None:
    random = np.random.default_rng(decimals)
    left = random.normal(size=60)
    right = np.round(left + random.normal(size=60), decimals)
    counts = np.concatenate(list(resamples(60, random, BLOCK + 3)))
    for sides in ((left, right), (right, left), (right, right)):
        found = spearman(Ordered(sides[0]), Ordered(sides[1]), counts)
        np.testing.assert_allclose(found, [by_hand(*sides, drawn) for drawn in counts], rtol=0, atol=1e-12)


def test_a_resample_in_which_a_side_is_constant_has_none() -> None:
    values, constant = np.array([1.0, 2.0, 3.0]), np.array([0.0, 0.0, 1.0])
    counts = np.array([[2.0, 1.0, 0.0], [1.0, 0.0, 2.0]])
    found = spearman(Ordered(values), Ordered(constant), counts)
    assert np.isnan(found[0])
    assert found[1] == pytest.approx(1.0)
