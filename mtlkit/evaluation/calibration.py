"""How far probabilities can be believed. Imports no torch and prints nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtlkit.evaluation.metrics import Array

BINS = 15  # as in Guo et al. 2017
SMALLEST = 1e-12  # probability that a log-loss counts instead of 0


@dataclass(frozen=True)
class Forecast:
    """Probabilities and what happened: for each of N x K forecasts its `confidence` and whether it was `right`, both (N, K); the
    `log_loss` and the `brier` score of each row, (N,). K is 1 for classification, where the confidence is that of the predicted
    class, and the number of labels for multi-label tasks.
    """

    confidence: NDArray[np.float64]
    right: NDArray[np.bool_]
    log_loss: NDArray[np.float64]
    brier: NDArray[np.float64]


def forecast_of_classes(probabilities: Array, labels: Array, predicted: Array | None = None) -> Forecast:
    """The forecast of one class per row, from probabilities (N, C) and classes (N,); `predicted`, (N,), are the likeliest ones
    unless given. The Brier score is the squared distance from the true class as a one-hot vector, from 0 to 2 (Brier 1950).
    """
    shares = probabilities.astype(np.float64)
    rows = np.arange(len(shares))
    chosen, true = shares.argmax(1) if predicted is None else predicted, shares[rows, labels]
    brier = (shares**2).sum(1) - 2 * true + 1
    confidence, right = shares[rows, chosen, None], (chosen == labels)[:, None]
    return Forecast(confidence, right, -np.log(np.maximum(true, SMALLEST)), brier)


def forecast_of_labels(probabilities: Array, true: Array) -> Forecast:
    """The forecasts of each label, from probabilities and labels, both (N, labels). The confidence is the probability that a row
    has the label; log-loss and Brier score are means over labels.
    """
    shares, present = probabilities.astype(np.float64), true > 0.5
    of_truth = np.where(present, shares, 1 - shares)
    log_loss = -np.log(np.maximum(of_truth, SMALLEST)).mean(1)
    return Forecast(shares, present, log_loss, ((shares - present) ** 2).mean(1))


def bin_of(confidence: NDArray[np.float64]) -> NDArray[np.int64]:
    """The bin of each confidence: BINS bins of equal width, each without its lower end."""
    return np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)


def expected_calibration_error(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """Mean over N forecasts of the gap between confidence and accuracy in their bin (Naeini et al. 2015; Guo et al. 2017)."""
    gaps = np.bincount(bin_of(confidence), weights=confidence - right, minlength=BINS)
    return float(np.abs(gaps).sum() / len(confidence))


def calibration_error(forecast: Forecast) -> float:
    """The expected calibration error; the mean over labels where rows have several forecasts."""
    columns = zip(forecast.confidence.T, forecast.right.T, strict=True)
    return float(np.mean([expected_calibration_error(confidence, right) for confidence, right in columns]))
