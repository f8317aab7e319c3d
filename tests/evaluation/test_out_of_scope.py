from __future__ import annotations

import numpy as np
import pytest

from mtlkit.evaluation.out_of_scope import separation


def test_scores_apart_and_alike() -> None:
    random = np.random.default_rng(0)
    apart = separation(np.arange(100.0), np.arange(-50.0, 0.0), random)
    assert (apart.auroc, apart.rejected, apart.fitting, apart.foreign) == (1.0, 1.0, 100, 50)
    same = separation(np.zeros(40), np.zeros(30), random)
    assert (same.auroc, same.rejected) == (0.5, 0.0)


def test_auroc_counts_pairs_in_order() -> None:
    found = separation(np.array([1.0, 3, 4]), np.array([2.0, 0]), np.random.default_rng(0))
    assert found.auroc == pytest.approx(5 / 6)
    low, high = found.auroc_interval.ends
    assert low <= 5 / 6 <= high
    assert found.to_json()["rejected_at_95_kept"] == 0.5
