"""Computes metrics from outputs and labels. Imports no torch and prints nothing.

An undefined metric, such as a correlation with constant labels, is None; `undefined` maps its name to the reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, isnan, log10
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtlkit.errors import NotFiniteError

Array = NDArray[Any]

ROUNDED_TO = 6  # digits of a float32 cosine
NO_ROWS = "no rows"
ROUNDING = 10.0**-ROUNDED_TO


def check_finite(values: Array, what: str) -> Array:
    """Returns N rows of numbers unchanged. Raises NotFiniteError for the first row with NaN or infinity."""
    with np.errstate(over="ignore", invalid="ignore"):
        total = values.sum()
    if not np.isfinite(total):  # the sum of finite values may overflow
        rows = np.flatnonzero(~np.isfinite(values).reshape(len(values), -1).all(1))
        if len(rows):
            raise NotFiniteError(what, int(rows[0]))
    return values


def confusion(classes: int, true: Array, predicted: Array) -> NDArray[np.int64]:
    """The confusion matrix, (classes, classes): rows are true classes, columns predicted ones."""
    return np.bincount(true * classes + predicted, minlength=classes**2).reshape(classes, classes)


def classification(names: tuple[str, ...], matrix: NDArray[np.int64]) -> dict[str, Any]:
    """Accuracy, macro-F1 over classes that occur (true or predicted), metrics per class, and the confusion matrix."""
    hits, true, predicted = np.diag(matrix), matrix.sum(1), matrix.sum(0)
    metrics = {
        "accuracy": share(hits.sum(), matrix.sum()),
        "macro_f1": known(float(macro_f1(hits, true, predicted))),
        "labels": list(names),
        "confusion": matrix.tolist(),
        "per_class": class_scores(names, hits, true, predicted),
    }
    return metrics if matrix.any() else metrics | because(dict.fromkeys(("accuracy", "macro_f1"), NO_ROWS))


def multi_label(names: tuple[str, ...], predicted: Array, true: Array) -> dict[str, Any]:
    """Metrics of multi-label tasks; accuracy is the share of texts with exactly the right labels. predicted, true: (N, labels)
    bool.
    """
    hits = (predicted & true).sum(0)
    metrics = {
        "accuracy": share((predicted == true).all(1).sum(), len(true)),
        "macro_f1": known(float(macro_f1(hits, true.sum(0), predicted.sum(0)))),
        "micro_f1": share(2 * hits.sum(), true.sum() + predicted.sum()),
        "labels": list(names),
        "per_class": class_scores(names, hits, true.sum(0), predicted.sum(0)),
    }
    reason = f"none of {len(true):,} rows has a label, true or predicted" if len(true) else NO_ROWS
    return metrics | because({name: reason for name in ("accuracy", "macro_f1", "micro_f1") if metrics[name] is None})


def macro_f1(hits: Array, true: Array, predicted: Array) -> Array:
    """Mean F1 of the classes that occur (true or predicted), from counts (..., classes); NaN if none does."""
    occurrences = true + predicted
    occurring = (occurrences > 0).sum(-1)
    mean: Array = (2 * hits / np.maximum(1, occurrences)).sum(-1) / np.maximum(1, occurring)
    return np.where(occurring > 0, mean, np.nan)


def class_scores(
    names: tuple[str, ...], hits: Array, true: Array, predicted: Array, noun: str = "rows"
) -> dict[str, dict[str, Any]]:
    """Precision, recall and F1 of each class, from its counts, (classes,); `noun` is what is counted."""
    rows = {}
    for name, hit, support, chosen in zip(names, hits, true, predicted, strict=True):
        figures = {"precision": share(hit, chosen), "recall": share(hit, support), "f1": share(2 * hit, support + chosen)}
        reasons = {"precision": "never predicted", "recall": f"no {noun}", "f1": f"no {noun}, and never predicted"}
        missing = {key: reason for key, reason in reasons.items() if figures[key] is None}
        rows[name] = {**figures, "support": int(support), **because(missing)}
    return rows


def share(part: Any, whole: Any) -> float | None:
    """part / whole; None if the whole is 0."""
    return float(part / whole) if whole else None


def known(value: float) -> float | None:
    """The value, or None for NaN."""
    return None if isnan(value) else value


def because(reasons: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """The entry that gives reasons for undefined metrics; empty if all are defined."""
    return {"undefined": dict(reasons)} if reasons else {}


def regression(predicted: Array, true: Array) -> dict[str, Any]:
    """Pearson's and Spearman's correlation and the mean squared error."""
    predicted, true = predicted.astype(np.float64), true.astype(np.float64)  # squares of large values overflow float32
    metrics = correlations(predicted, true, "predictions", "labels")
    undefined = metrics.pop("undefined", {}) | ({} if len(true) else {"mse": NO_ROWS})
    return {**metrics, "mse": share(((predicted - true) ** 2).sum(), len(true)), **because(undefined)}


def correlations(left: Array, right: Array, left_name: str, right_name: str) -> dict[str, Any]:
    """Pearson's and Spearman's correlation of computed values (left) with given ones (right), or why they are undefined."""
    left, right = left.astype(np.float64), right.astype(np.float64)
    reason = undefined_because(left, right, left_name, right_name)
    if reason:
        return {"pearson": None, "spearman": None, **because({"pearson": reason, "spearman": reason})}
    return {"pearson": correlation(left, right), "spearman": correlation_of_ranks(left, right)}


def undefined_because(left: Array, right: Array, left_name: str, right_name: str) -> str:
    """Why two lists of values have no correlation; empty if they have one. Computed values (`left`) that differ only by rounding
    count as equal."""
    if len(left) < 2:
        return f"a correlation needs two values, and there {'is' if len(left) else 'are'} {len(left)}"
    for values, name, tolerance in ((left, left_name, ROUNDING * float(np.abs(left).max())), (right, right_name, 0.0)):
        if np.ptp(values) <= tolerance:  # means of equal values may differ from them in the last digit
            return f"all {len(values):,} {name} are {float(values[0]):.6g}"
    return ""


def rounded(similarities: Array) -> Array:
    """Cosines rounded to six decimals, larger numbers to fewer, so that rounding errors of float32 do not change ranks."""
    largest = float(np.abs(similarities).max(initial=1.0))
    values: Array = np.round(similarities.astype(np.float64), ROUNDED_TO - ceil(log10(max(1.0, largest))))
    return values


def correlation_of_ranks(left: Array, right: Array) -> float:
    """Spearman correlation of values that are not all equal."""
    from scipy.stats import rankdata  # the import takes half a second that classification does not need

    return correlation(rankdata(left), rankdata(right))


def correlation(left: Array, right: Array) -> float:
    """Pearson correlation of values that are not all equal."""
    left, right = left - left.mean(), right - right.mean()
    return float((left * right).sum() / np.sqrt((left**2).sum() * (right**2).sum()))
