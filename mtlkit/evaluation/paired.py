"""A paired test of the main metric of two models on the same rows, for every kind of task. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan, nan
from typing import Any, Literal

import numpy as np

from mtlkit.config.from_json import without_nan
from mtlkit.evaluation.comparison import Outputs, TaskComparison, compare_outputs
from mtlkit.evaluation.intervals import Values, resamples
from mtlkit.evaluation.metrics import Array
from mtlkit.evaluation.task_metrics import examples_in, figures_of
from mtlkit.seeding import generator


@dataclass(frozen=True)
class PairedTest:
    """A comparison, and the p-value of its main metric: McNemar's where the metric is accuracy, else that of the paired
    bootstrap. NaN where the metric is undefined."""

    comparison: TaskComparison
    p: float
    test: Literal["McNemar", "bootstrap"]

    def to_json(self) -> dict[str, Any]:
        main = self.comparison.decisive
        found: dict[str, Any] = without_nan({"metric": main.metric, "test": self.test, "p": self.p})
        return {**found, **self.comparison.to_json()}


def paired_test(model: Outputs, against: Outputs, labels: Array, seed: int) -> PairedTest:
    """Compares two models as `compare_outputs` does."""
    comparison = compare_outputs(model, against, labels, seed)
    if comparison.tested and comparison.p is not None:
        return PairedTest(comparison, comparison.p, "McNemar")
    rows, main = examples_in(model.spec, labels), comparison.main
    if rows < 2 or isnan(comparison.decisive.value):
        return PairedTest(comparison, nan, "bootstrap")
    before, after = (figures_of(side.spec, side.values, labels) for side in (model, against))
    random = generator(seed, "against", model.spec.name)  # the resamples of the interval, so that both agree
    drawn = resamples(rows, random, before.draws)
    changes = [after.measure(counts).overall[main] - before.measure(counts).overall[main] for counts in drawn]
    return PairedTest(comparison, bootstrap_p(np.concatenate(changes)), "bootstrap")


def bootstrap_p(changes: Values) -> float:
    """Two-sided p-value of a change of 0 from the changes in all resamples, (R,): twice the share on its far side (Efron &
    Tibshirani 1993, chapter 15). NaN if they are undefined."""
    changes = changes[~np.isnan(changes)]
    if not len(changes):
        return nan
    smaller = min(int((changes <= 0).sum()), int((changes >= 0).sum()))
    return min(1.0, 2 * (1 + smaller) / (1 + len(changes)))
