"""What `eval` computes, from outputs and labels. Free of torch and of printing."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtlkit.config.architecture import TaskSpec
from mtlkit.errors import NotFiniteError

Array = NDArray[Any]

MAIN = {"classification": "accuracy", "multi-label": "macro_f1", "regression": "spearman"}


def check_finite(values: Array, what: str) -> Array:
    """N rows of numbers, as they are. Raises NotFiniteError for the first row with NaN or infinity."""
    with np.errstate(over="ignore", invalid="ignore"):
        total = values.sum()
    if not np.isfinite(total):  # which may have overflowed by itself
        rows = np.flatnonzero(~np.isfinite(values).reshape(len(values), -1).all(1))
        if len(rows):
            raise NotFiniteError(what, int(rows[0]))
    return values


def main_metric(spec: TaskSpec) -> str:
    """The metric that the best epoch is chosen by."""
    return MAIN[spec.kind]


def score(spec: TaskSpec, outputs: Array, labels: Array) -> dict[str, Any]:
    """All metrics of a task, `kind` and `n` first.

    Raises NotFiniteError naming the first text whose outputs are not finite.

    outputs (N, outputs) as the head gives them: logits, or predicted values for regression. labels as
    `encode_labels` makes them.
    """
    check_finite(outputs, f"output of '{spec.name}'")
    found: dict[str, Any] = {"kind": spec.kind, "n": len(labels)}
    if spec.kind == "regression":
        return found | regression(outputs[:, 0], labels)
    if spec.kind == "multi-label":
        return found | multi_label(spec.labels, outputs > 0, labels > 0.5)
    matrix = confusion(len(spec.labels), labels, outputs.argmax(1))
    return found | classification(spec.labels, matrix)


def confusion(classes: int, true: Array, predicted: Array) -> NDArray[np.int64]:
    """Counts, rows true, columns predicted."""
    return np.bincount(true * classes + predicted, minlength=classes**2).reshape(classes, classes)


def classification(names: tuple[str, ...], matrix: NDArray[np.int64]) -> dict[str, Any]:
    """Accuracy, macro-F1 over the classes that occur, true or predicted, the table per class and the confusion matrix."""
    hits, true, predicted = np.diag(matrix), matrix.sum(1), matrix.sum(0)
    return {
        "accuracy": float(hits.sum() / max(1, matrix.sum())),
        "macro_f1": float(macro_f1(hits, true, predicted)),
        "labels": list(names),
        "confusion": matrix.tolist(),
        "per_class": _per_class(names, hits, true, predicted),
    }


def multi_label(names: tuple[str, ...], predicted: Array, true: Array) -> dict[str, Any]:
    """Accuracy here is the share of texts whose labels are all right and complete."""
    hits = (predicted & true).sum(0)
    return {
        "accuracy": float((predicted == true).all(1).mean()),
        "macro_f1": float(macro_f1(hits, true.sum(0), predicted.sum(0))),
        "micro_f1": float(2 * hits.sum() / max(1, true.sum() + predicted.sum())),
        "labels": list(names),
        "per_class": _per_class(names, hits, true.sum(0), predicted.sum(0)),
    }


def macro_f1(hits: Array, true: Array, predicted: Array) -> Array:
    """Mean F1 of the classes that occur, true or predicted, from counts (..., classes); 0 where none does."""
    there = true + predicted
    found: Array = (2 * hits / np.maximum(1, there)).sum(-1) / np.maximum(1, (there > 0).sum(-1))
    return found


def _per_class(names: tuple[str, ...], hits: Array, true: Array, predicted: Array) -> dict[str, dict[str, Any]]:
    return {
        name: {
            "precision": float(hit / max(1, chosen)),
            "recall": float(hit / max(1, there)),
            "f1": float(2 * hit / max(1, there + chosen)),
            "support": int(there),
        }
        for name, hit, there, chosen in zip(names, hits, true, predicted, strict=True)
    }


def regression(predicted: Array, true: Array) -> dict[str, Any]:
    """Pearson's and Spearman's correlation (0 where one side does not vary) and the mean squared error."""
    predicted, true = predicted.astype(np.float64), true.astype(np.float64)  # squares of large values overflow float32
    return {
        "pearson": correlation(predicted, true),
        "spearman": correlation_of_ranks(predicted, true),
        "mse": float(np.mean((predicted - true) ** 2)),
    }


def correlation_of_ranks(left: Array, right: Array) -> float:
    """Spearman's correlation."""
    from scipy.stats import rankdata  # half a second of import that classification need not pay

    return correlation(rankdata(left), rankdata(right))


def correlation(left: Array, right: Array) -> float:
    if len(left) < 2 or np.ptp(left) == 0 or np.ptp(right) == 0:  # means of equal values may miss them by a last digit
        return 0.0
    left, right = left - left.mean(), right - right.mean()
    return float((left * right).sum() / np.sqrt((left**2).sum() * (right**2).sum()))
