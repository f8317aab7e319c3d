from __future__ import annotations

import numpy as np
import pytest

from mtlkit.evaluation.calibration import Forecast, forecast_of_classes, forecast_of_labels
from mtlkit.evaluation.intervals import wilson
from mtlkit.evaluation.reliability import bins_of, error_of, reliability


def drawn(rows: int, shift: float) -> Forecast:
    """Forecasts of two classes whose confidence is `shift` above their accuracy."""
    random = np.random.default_rng(0)
    confidence = random.uniform(0.6, 0.95, rows)
    right = random.random(rows) < confidence - shift
    return forecast_of_classes(np.stack([confidence, 1 - confidence], 1), np.where(right, 0, 1))


@pytest.mark.parametrize("shift", [0.0, 0.15])
def test_the_interval_contains_the_true_error(shift: float) -> None:
    found = reliability(drawn(2000, shift), np.random.default_rng(1))
    assert found.error.interval.low - 1e-9 <= shift <= found.error.interval.high
    assert found.error.interval.low <= found.error.value
    for one in (found.brier, found.log_loss):
        assert one.interval.low < one.value < one.interval.high


def test_the_measure_of_all_rows_is_the_error() -> None:
    for forecast in (drawn(50, 0.1), forecast_of_labels(np.random.default_rng(0).random((9, 3)), np.eye(9, 3))):
        found = reliability(forecast, np.random.default_rng(0))
        assert error_of(forecast)(np.ones((1, len(forecast.log_loss)))) == pytest.approx([found.error.value])


def test_bins() -> None:
    confidence = np.array([[0.95], [0.97], [0.55]])
    forecast = Forecast(confidence, np.array([[True], [False], [True]]), np.zeros(3), np.zeros(3))
    low, high = bins_of(forecast)
    assert (low.count, low.right, low.confidence) == (1, 1, pytest.approx(0.55))
    assert (high.count, high.accuracy, high.gap) == (2, 0.5, pytest.approx(0.46))
    assert high.interval == wilson(1, 2)
    assert (high.low, high.high) == (14 / 15, 1.0)
    assert high.to_json().keys() == {"low", "high", "count", "confidence", "accuracy", "interval"}


def test_a_single_row() -> None:
    found = reliability(forecast_of_classes(np.array([[0.75, 0.25]]), np.array([0])), np.random.default_rng(0))
    assert found.error.value == found.error.interval.low == pytest.approx(0.25)
