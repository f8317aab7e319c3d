from __future__ import annotations

from math import log

import numpy as np
import pytest

from mtlkit.evaluation.calibration import (
    BINS,
    bin_of,
    calibration_error,
    expected_calibration_error,
    forecast_of_classes,
    forecast_of_labels,
)


def test_bins_contain_their_upper_end() -> None:
    assert bin_of(np.array([0.0, 0.01, 1 / BINS, 1 / BINS + 1e-9, 1.0])).tolist() == [0, 0, 0, 1, BINS - 1]


def test_the_calibration_error_by_hand() -> None:
    confidence = np.array([0.95, 0.97, 0.55, 0.58, 0.59])  # two bins
    right = np.array([True, False, True, True, True])
    expected = (2 * abs(0.96 - 0.5) + 3 * abs((0.55 + 0.58 + 0.59) / 3 - 1.0)) / 5
    assert expected_calibration_error(confidence, right) == pytest.approx(expected)


def test_a_forecast_of_classes() -> None:
    probabilities = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]], np.float32)
    forecast = forecast_of_classes(probabilities, np.array([0, 1]))
    assert forecast.confidence[:, 0] == pytest.approx([0.7, 0.6])
    assert forecast.right[:, 0].tolist() == [True, False]
    assert forecast.log_loss == pytest.approx([-log(0.7), -log(0.3)])
    assert forecast.brier == pytest.approx([0.3**2 + 0.2**2 + 0.1**2, 0.1**2 + 0.7**2 + 0.6**2])


def test_the_calibration_error_of_labels_is_a_mean() -> None:
    probabilities = np.array([[0.9, 0.5], [0.9, 0.5]], np.float32)
    forecast = forecast_of_labels(probabilities, np.array([[1, 1], [1, 0]], np.float32))
    assert calibration_error(forecast) == pytest.approx((0.1 + 0.0) / 2)
    assert forecast.log_loss == pytest.approx([(-log(0.9) - log(0.5)) / 2] * 2)
    assert forecast.brier == pytest.approx([(0.01 + 0.25) / 2] * 2)


def test_a_probability_of_zero_has_a_finite_loss() -> None:
    forecast = forecast_of_classes(np.array([[1.0, 0.0]], np.float32), np.array([1]))
    assert np.isfinite(forecast.log_loss).all()
    assert forecast.brier == pytest.approx([2.0])
