from __future__ import annotations

from math import log

import numpy as np
import pytest
from numpy.typing import NDArray

from mtlkit.evaluation import calibration_fit
from mtlkit.evaluation.calibration_fit import HIGHEST, LOWEST, best_threshold, fit_temperature, fit_thresholds
from mtlkit.evaluation.metrics import Array


def two_classes(rows: int, right: int, logit: float) -> tuple[Array, Array]:
    """Logits +-`logit` for the first class, which is right in the first rows."""
    return np.tile(np.float32([logit, -logit]), (rows, 1)), (np.arange(rows) >= right).astype(np.int64)


@pytest.mark.parametrize(("rows", "right"), [(1000, 800), (1000, 999), (10, 8), (20, 20), (1, 1)])
def test_the_temperature_of_two_classes_has_a_closed_form(rows: int, right: int) -> None:
    share = (right + 0.5) / (rows + 1)  # with the row that is like the average one
    logits, labels = two_classes(rows, right, 3.0)
    assert fit_temperature(logits, labels) == pytest.approx(2 * 3.0 / log(share / (1 - share)), rel=1e-6)


def test_hundreds_of_rows_outweigh_the_additional_one() -> None:
    assert fit_temperature(*two_classes(2000, 1600, 3.0)) == pytest.approx(6.0 / log(4.0), rel=1e-3)


@pytest.mark.parametrize("scale", [0.25, 1.0, 3.0])
def test_scaled_logits_are_scaled_back(scale: float) -> None:
    random = np.random.default_rng(0)
    logits = random.normal(size=(4000, 5)) * 2
    labels = (logits + random.gumbel(size=logits.shape)).argmax(1)  # drawn from the softmax
    assert fit_temperature((logits * scale).astype(np.float32), labels) == pytest.approx(scale, rel=0.05)


@pytest.mark.parametrize(
    ("logits", "labels", "temperature"),
    [
        (np.ones((4, 3), np.float32), np.array([0, 1, 2, 0]), 1.0),  # nothing to scale
        (*two_classes(1000, 400, 3.0), HIGHEST),  # worse than chance
        (*two_classes(100, 90, 1000.0), HIGHEST),  # saturated
        (*two_classes(1000, 999, 0.01), LOWEST),
    ],
    ids=["constant", "wrong", "saturated", "flat"],
)
def test_temperatures_are_bounded(logits: Array, labels: Array, temperature: float) -> None:
    assert fit_temperature(logits, labels) == temperature


def test_the_loss_is_minimal_at_the_temperature() -> None:
    random = np.random.default_rng(1)
    logits, labels = random.normal(size=(60, 4)), random.integers(4, size=60)
    logits[np.arange(60), labels] += 2

    def loss(temperature: float) -> float:
        scaled = logits / temperature
        normal = np.log(np.exp(scaled).sum(1))
        uniform = (normal - scaled.mean(1)).mean()
        return float((normal - scaled[np.arange(60), labels]).sum() + uniform)

    best = fit_temperature(logits, labels)
    assert loss(best) <= min(loss(best * 1.001), loss(best / 1.001))


def test_chunks_and_many_rows_give_the_same_temperature(monkeypatch: pytest.MonkeyPatch) -> None:
    logits, labels = two_classes(100, 80, 3.0)
    whole = fit_temperature(logits, labels)
    monkeypatch.setattr(calibration_fit, "AT_ONCE", 14)  # chunks of seven rows
    assert fit_temperature(logits, labels) == pytest.approx(whole, rel=1e-9)
    monkeypatch.setattr(calibration_fit, "ENOUGH", 100)
    assert fit_temperature(np.repeat(logits, 3, 0), np.repeat(labels, 3)) == pytest.approx(whole, rel=1e-9)


def f1(probabilities: NDArray[np.float64], present: NDArray[np.bool_], threshold: float) -> float:
    predicted = probabilities > threshold
    return float(2 * (predicted & present).sum() / (predicted.sum() + present.sum()))


def test_no_threshold_has_a_better_f1() -> None:
    random = np.random.default_rng(0)
    for _ in range(200):
        rows = int(random.integers(1, 9))
        probabilities, present = random.integers(1, 8, rows) / 8, random.random(rows) < 0.5
        if present.any():
            best = f1(probabilities, present, best_threshold(probabilities, present))
            assert best == max(f1(probabilities, present, place / 16) for place in range(16))


@pytest.mark.parametrize(
    ("probabilities", "present", "threshold"),
    [
        ([0.9, 0.7, 0.2], [1, 1, 0], 0.45),  # midway
        ([0.3, 0.2, 0.1], [1, 0, 0], 0.25),
        ([0.6, 0.4], [0, 0], 0.5),  # no row has the label
        ([0.4, 0.4, 0.4], [1, 0, 1], 0.2),  # equal probabilities stay together
        ([0.8, 0.6], [1, 1], 0.3),
    ],
)
def test_thresholds(probabilities: list[float], present: list[int], threshold: float) -> None:
    column = np.array(probabilities, np.float32)[:, None]
    assert fit_thresholds(column, np.array(present, np.float32)[:, None]) == pytest.approx((threshold,))
