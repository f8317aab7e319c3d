"""Figures of ordered classes agree with scikit-learn, and their probabilities with differences of sigmoids."""

from __future__ import annotations

import numpy as np
import pytest

from mtlkit.evaluation.calibration_fit import fit_temperature
from mtlkit.evaluation.ordinal import log_probabilities, medians, ordinal, ordinal_figures, temperature_derivatives
from mtlkit.inference.predictions import sigmoid

THRESHOLDS = np.array([-2.0, -0.5, 0.1, 1.5])


def drawn(rows: int = 200) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], np.ndarray[tuple[int], np.dtype[np.int64]]]:
    random = np.random.default_rng(0)
    true = random.integers(0, 5, rows)
    return true, np.clip(true + random.integers(-1, 3, rows), 0, 4)


def test_kappa_and_error_agree_with_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="compares with scikit-learn")
    true, predicted = drawn()
    figures = ordinal_figures(true, predicted)
    counts = np.random.default_rng(1).multinomial(200, np.full(200, 1 / 200), 3)
    measured = figures.measure(counts.astype(np.float64)).overall
    for resample, count in enumerate(counts):
        rows = np.repeat(np.arange(200), count)
        kappa = metrics.cohen_kappa_score(true[rows], predicted[rows], weights="quadratic")
        assert measured["quadratic_kappa"][resample] == pytest.approx(kappa)
        assert measured["mae"][resample] == pytest.approx(metrics.mean_absolute_error(true[rows], predicted[rows]))
    assert ordinal(true, predicted)["quadratic_kappa"] == pytest.approx(
        metrics.cohen_kappa_score(true, predicted, weights="quadratic")
    )


@pytest.mark.parametrize(
    ("true", "predicted", "kappa", "undefined"),
    [([2, 2], [2, 2], None, "one class"), ([2, 2], [2, 1], 0.0, ""), ([], [], None, "no rows")],
)
def test_kappa_is_undefined_for_a_single_class(true: list[int], predicted: list[int], kappa: float, undefined: str) -> None:
    metrics = ordinal(np.array(true, np.int64), np.array(predicted, np.int64))
    assert metrics["quadratic_kappa"] == kappa
    assert undefined in metrics.get("undefined", {}).get("quadratic_kappa", "")


def test_probabilities_are_differences_of_sigmoids() -> None:
    logits = THRESHOLDS - np.array([[0.0], [-4.0], [3.0]])
    reached = np.concatenate([np.zeros((3, 1)), sigmoid(logits), np.ones((3, 1))], 1)
    np.testing.assert_allclose(np.exp(log_probabilities(logits)), np.diff(reached, axis=1), atol=1e-12)
    far = log_probabilities(THRESHOLDS - np.array([[1e4], [-1e4]]))
    assert np.isfinite(far).all()  # where a difference of sigmoids would be 0
    assert medians(THRESHOLDS - np.array([[0.0], [-4.0], [3.0], [0.1]])).tolist() == [2, 0, 4, 2]


@pytest.mark.parametrize("scale", [0.25, 1.0, 3.0])
def test_scaled_logits_are_scaled_back(scale: float) -> None:
    random = np.random.default_rng(0)
    logits = THRESHOLDS - 2 * random.normal(size=(6000, 1))
    labels = (sigmoid(logits) < random.random((6000, 1))).sum(1)
    assert fit_temperature((logits * scale).astype(np.float32), labels, temperature_derivatives) == pytest.approx(scale, rel=0.05)


def test_derivatives_are_those_of_the_log_loss() -> None:
    logits, labels, step = THRESHOLDS - np.array([[0.3], [-4.0], [3.0]]), np.array([0, 4, 2]), 1e-4

    def loss(inverse: float) -> float:
        return -float(log_probabilities(inverse * logits)[np.arange(3), labels].sum())

    found = temperature_derivatives(logits, labels, 0.7)
    assert found.slope == pytest.approx((loss(0.7 + step) - loss(0.7 - step)) / (2 * step), rel=1e-5)
    assert found.curvature == pytest.approx((loss(0.7 + step) - 2 * loss(0.7) + loss(0.7 - step)) / step**2, rel=1e-4)
