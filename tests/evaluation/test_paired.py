"""p-values of paired tests agree with the intervals beside them."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest

from mtlkit.config.architecture import TaskSpec
from mtlkit.evaluation.comparison import Outputs
from mtlkit.evaluation.paired import bootstrap_p, paired_test

STARS = TaskSpec("stars", "regression", ())


def noisy(scale: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and predictions of them with an error of this size."""
    labels = np.random.default_rng(1).normal(size=200).astype(np.float32)
    return labels, (labels + scale * np.random.default_rng(seed).normal(size=200)).astype(np.float32)[:, None]


@pytest.mark.parametrize(("scale", "clear"), [(0.2, True), (1.05, False)])
def test_a_bootstrap_p_is_small_where_its_interval_excludes_zero(scale: float, clear: bool) -> None:
    (labels, worse), (_, better) = noisy(1.0), noisy(scale, seed=2)
    found = paired_test(Outputs(STARS, worse), Outputs(STARS, better), labels, seed=0)
    assert (found.test, found.comparison.main) == ("bootstrap", "spearman")
    assert (found.p < 0.05, not found.comparison.decisive.interval.holds_zero) == (clear, clear)
    swapped = paired_test(Outputs(STARS, better), Outputs(STARS, worse), labels, seed=0)
    assert swapped.p == found.p
    assert swapped.comparison.decisive.value == pytest.approx(-found.comparison.decisive.value)


def test_mcnemar_decides_about_accuracy() -> None:
    spec = TaskSpec("topic", "classification", ("a", "b"))
    labels = np.zeros(40, np.int64)
    right, wrong = np.tile(np.float32([[1, 0]]), (40, 1)), np.tile(np.float32([[1, 0]]), (40, 1))
    wrong[:10] = [0, 1]
    found = paired_test(Outputs(spec, right), Outputs(spec, wrong), labels, seed=0)
    assert (found.test, found.p) == ("McNemar", pytest.approx(2 / 2**10))
    assert found.to_json()["p"] == found.p


def test_what_is_undefined_has_no_p_value() -> None:
    labels, outputs = noisy(1.0)
    found = paired_test(Outputs(STARS, outputs), Outputs(STARS, np.zeros_like(outputs)), labels, seed=0)
    assert isnan(found.p)
    assert found.to_json()["p"] is None
    assert isnan(bootstrap_p(np.full(3, np.nan)))
    assert bootstrap_p(np.zeros(99)) == 1
