"""Linear models fitted by L-BFGS agree with scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest

from mtlkit.evaluation.intervals import Values
from mtlkit.tasks.convex import SigmoidLoss, SoftmaxLoss, SquaredLoss
from mtlkit.training.solver import linear
from mtlkit.training.solver.linear import Features, fit

sklearn = pytest.importorskip("sklearn.linear_model", reason="compares with scikit-learn")
ROWS, DIM = 60, 8


def drawn(rows: int = ROWS, dim: int = DIM, classes: int = 3) -> tuple[Values, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    random = np.random.default_rng(0)
    labels = random.integers(0, classes, rows)
    return random.normal(size=(rows, dim)) + random.normal(size=(classes, dim))[labels] + 5.0, labels


@pytest.mark.parametrize("c", [0.01, 1.0, 100.0])
def test_classes_agree_with_logistic_regression(c: float) -> None:
    vectors, labels = drawn()
    weights = np.where(labels == 0, 2.0, 0.5)
    found = fit(Features(vectors), SoftmaxLoss(labels, 3, weights), 1 / (c * ROWS))
    expected = sklearn.LogisticRegression(C=c, tol=1e-10, max_iter=10_000).fit(vectors, labels, weights)
    np.testing.assert_allclose(found.weights.T, expected.coef_, atol=1e-4 * max(1.0, np.abs(expected.coef_).max()))
    np.testing.assert_allclose(found.outputs(vectors).argmax(1), expected.predict(vectors))
    differences = found.intercepts - found.intercepts.mean()
    np.testing.assert_allclose(differences, expected.intercept_ - expected.intercept_.mean(), rtol=1e-3)


def test_labels_agree_with_a_logistic_regression_each() -> None:
    vectors, labels = drawn()
    marks = np.stack([labels == 0, labels < 2], 1).astype(np.float64)
    found = fit(Features(vectors), SigmoidLoss(marks, np.ones(ROWS)), 1 / ROWS)
    for label in range(2):
        expected = sklearn.LogisticRegression(C=1.0, tol=1e-10, max_iter=10_000).fit(vectors, marks[:, label])
        np.testing.assert_allclose(found.weights[:, label], expected.coef_[0], atol=1e-4)


def test_numbers_agree_with_ridge_regression() -> None:
    vectors, labels = drawn()
    numbers, weights = labels + vectors[:, 0], np.where(labels == 0, 2.0, 0.5)
    found = fit(Features(vectors), SquaredLoss(numbers, weights), 1 / (10 * ROWS))
    expected = sklearn.Ridge(alpha=0.1).fit(vectors, numbers, weights)
    np.testing.assert_allclose(found.weights[:, 0], expected.coef_, atol=1e-9)
    assert found.intercepts[0] == pytest.approx(expected.intercept_)


def test_fits_in_the_space_of_few_rows_are_the_same() -> None:
    vectors, labels = drawn(rows=10, dim=40)
    features, loss = Features(vectors), SoftmaxLoss(labels, 3, np.ones(10))
    rotated, axes = features.rotated()
    assert rotated.vectors.shape == (10, 10)
    restored, direct = axes.restore(fit(rotated, loss, 0.01)), fit(features, loss, 0.01)
    np.testing.assert_allclose(restored.weights, direct.weights, atol=1e-5)
    np.testing.assert_allclose(restored.outputs(vectors), direct.outputs(vectors), atol=1e-5)


@pytest.mark.parametrize("number", [np.float64, np.float32])
def test_fits_along_principal_axes_are_the_same(number: type[np.floating]) -> None:
    vectors, labels = drawn()
    features, loss = Features(vectors.astype(number)), SoftmaxLoss(labels, 3, np.ones(ROWS))
    rotated, axes = features.rotated()
    assert rotated.vectors.dtype == number
    assert np.cov(rotated.vectors.T) == pytest.approx(np.diag(rotated.variances) * ROWS / (ROWS - 1), abs=1e-4)
    restored, direct = axes.restore(fit(rotated, loss, 0.01)), fit(features, loss, 0.01)
    np.testing.assert_allclose(restored.weights, direct.weights, atol=1e-4)
    np.testing.assert_allclose(restored.intercepts, direct.intercepts, atol=1e-3)


def test_blocks_and_single_precision_change_little(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, labels = drawn()
    loss = SoftmaxLoss(labels, 3, np.ones(ROWS))
    whole = fit(Features(vectors), loss, 0.01)
    monkeypatch.setattr(linear, "BLOCK", 7)
    np.testing.assert_allclose(fit(Features(vectors), loss, 0.01).weights, whole.weights, atol=1e-6)
    np.testing.assert_allclose(fit(Features(vectors.astype(np.float32)), loss, 0.01).weights, whole.weights, atol=1e-4)


def test_constant_vectors_give_the_shares_of_the_classes() -> None:
    labels = np.array([0, 0, 0, 1])
    features = Features(np.full((4, 3), 0.1, np.float32))
    found = fit(features, SoftmaxLoss(labels, 2, np.ones(4)), 0.1)
    np.testing.assert_allclose(found.weights, 0.0, atol=1e-6)
    assert found.intercepts[0] - found.intercepts[1] == pytest.approx(np.log(3), abs=1e-4)


def test_separable_classes_have_finite_weights() -> None:
    vectors, labels = drawn(classes=2)
    vectors[:, 0] = 1000.0 * labels
    found = fit(Features(vectors), SoftmaxLoss(labels, 2, np.ones(ROWS)), 1e-6)
    assert np.isfinite(found.weights).all()
    assert (found.outputs(vectors).argmax(1) == labels).all()
