"""The figures of tasks with classes: accuracy, F1, precision and recall, average precision and AUROC. No torch."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mtlkit.evaluation.figures import Figures, Measured
from mtlkit.evaluation.intervals import Values
from mtlkit.evaluation.metric_names import RANKING
from mtlkit.evaluation.metrics import Array, macro_f1
from mtlkit.evaluation.ranking import Ranking, mean_of_defined

Bools = NDArray[np.bool_]


def classification_figures(names: tuple[str, ...], true: Array, predicted: Array, probabilities: Array | None = None) -> Figures:
    """The figures of N rows with one class each. true, predicted: numbers of classes, (N,). probabilities: (N, classes); None
    leaves out average precision and AUROC.

    With two classes these two are about the second one.
    """
    classes = len(names)
    cells, cell_of = np.unique(true * classes + predicted, return_inverse=True)
    order, every = np.argsort(cell_of, kind="stable"), np.eye(classes)
    starts = np.searchsorted(cell_of[order], np.arange(len(cells)))
    trues, predictions = every[cells // classes], every[cells % classes]
    hits = trues * predictions
    belongs = np.equal(true[:, None], np.arange(classes))
    ranking = None if probabilities is None else Ranking(probabilities, belongs)
    positive = 1 if classes == 2 and ranking is not None else None

    def measure(counts: Values) -> Measured:
        of_cells = np.add.reduceat(counts[:, order], starts, axis=1)
        right, actual, chosen = (of_cells @ matrix for matrix in (hits, trues, predictions))
        overall = {
            "accuracy": right.sum(1) / counts.sum(1),
            "balanced_accuracy": mean_of_defined(ratio(right, actual)),
            "macro_f1": macro_f1(right, actual, chosen),
        }
        return _measured(overall, ratio(2 * right, actual + chosen), ranking, counts, positive)

    right, support, chosen = (np.bincount(rows, minlength=classes) for rows in (true[true == predicted], true, predicted))
    return Figures(
        rows=len(true),
        measure=measure,
        classes=classes,
        shares={"accuracy": (int(right.sum()), len(true))},
        class_shares={"precision": (right, chosen), "recall": (right, support)},
        reasons=_reasons(names, support, len(true), positive),
        class_reasons=_class_reasons(support, len(true)) if ranking else (),
        positive=None if positive is None else names[positive],
    )


def multi_label_figures(names: tuple[str, ...], true: Bools, predicted: Bools, probabilities: Array) -> Figures:
    """The figures of N rows with any number of labels each. true, predicted, probabilities: (N, labels)."""
    exact = (true == predicted).all(1).astype(np.float64)
    trues, predictions = true.astype(np.float64), predicted.astype(np.float64)
    hits, ranking = trues * predictions, Ranking(probabilities, true)

    def measure(counts: Values) -> Measured:
        right, actual, chosen = (counts @ matrix for matrix in (hits, trues, predictions))
        overall = {
            "accuracy": counts @ exact / counts.sum(1),
            "macro_f1": macro_f1(right, actual, chosen),
            "micro_f1": ratio(2 * right.sum(1), (actual + chosen).sum(1)),
        }
        return _measured(overall, ratio(2 * right, actual + chosen), ranking, counts, None)

    right, support, chosen = ((rows).sum(0) for rows in (true & predicted, true, predicted))
    return Figures(
        rows=len(true),
        measure=measure,
        classes=len(names),
        shares={"accuracy": (int(exact.sum()), len(true))},
        class_shares={"precision": (right, chosen), "recall": (right, support)},
        reasons=_reasons(names, support, len(true), None),
        class_reasons=_class_reasons(support, len(true)),
    )


def _measured(overall: dict[str, Values], f1: Values, ranking: Ranking | None, counts: Values, positive: int | None) -> Measured:
    if ranking is None:
        return Measured(overall, {"f1": f1})
    per_class = dict(zip(RANKING, ranking.measure(counts), strict=True))
    for name, values in per_class.items():
        overall[name] = mean_of_defined(values) if positive is None else values[:, positive]
    return Measured(overall, {"f1": f1, **per_class})


def ratio(part: Values, whole: Values) -> Values:
    """part / whole; NaN where the whole is 0."""
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1.0), np.nan)


def _reasons(names: tuple[str, ...], support: Array, rows: int, positive: int | None) -> Mapping[str, str]:
    """Why average precision and AUROC are undefined, if they are."""
    if positive is not None:
        reason = f"no row is {names[positive]!r}" if not support[positive] else f"all {rows:,} rows are {names[positive]!r}"
    else:
        reason = f"no class has both rows and other rows among {rows:,}"
    return dict.fromkeys(RANKING, reason)


def _class_reasons(support: Array, rows: int) -> tuple[Mapping[str, str], ...]:
    reasons = ("no rows" if not count else "all rows" if count == rows else "" for count in support)
    return tuple(dict.fromkeys(RANKING, reason) if reason else {} for reason in reasons)
