from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from mtlkit.evaluation.ranking import BLOCK, Ranking, mean_of_defined


@pytest.mark.parametrize("digits", [0, 1, 8])  # the fewer, the more scores are equal
@pytest.mark.parametrize("rows", [2, 7, 120])
def test_both_are_those_of_scikit_learn_in_every_resample(rows: int, digits: int) -> None:
    random = np.random.default_rng(rows)
    scores, true = np.round(random.normal(size=(rows, 3)), digits), random.random((rows, 3)) < 0.4
    counts = np.concatenate([np.ones((1, rows)), random.integers(0, 3, size=(4, rows))])
    precision, area = Ranking(scores, true).measure(counts)
    for resample, weights in enumerate(counts):
        for place in range(3):
            of_class, rest = weights[true[:, place]].sum(), weights[~true[:, place]].sum()
            found = precision[resample, place], area[resample, place]
            if of_class and rest:
                one = true[:, place], scores[:, place]
                wanted = [measure(*one, sample_weight=weights) for measure in (average_precision_score, roc_auc_score)]
                assert found == pytest.approx(wanted, abs=1e-6)
            else:
                assert np.isnan(found).all()


def test_resamples_do_not_depend_on_each_other() -> None:
    random = np.random.default_rng(0)
    ranking = Ranking(random.normal(size=(9, 2)), random.random((9, 2)) < 0.5)
    counts = random.integers(0, 3, size=(BLOCK + 3, 9)).astype(np.float64)
    for whole, last in zip(ranking.measure(counts), ranking.measure(counts[-2:]), strict=True):
        np.testing.assert_array_equal(whole[-2:], last)


def test_the_mean_leaves_out_undefined_classes() -> None:
    values = np.array([[0.5, np.nan, 1.0], [np.nan, np.nan, np.nan]])
    np.testing.assert_array_equal(mean_of_defined(values), [0.75, np.nan])
