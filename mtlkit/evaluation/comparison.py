"""A paired comparison of two models on the same rows: intervals of differences and McNemar's test. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan, nan
from typing import Any, Literal, NamedTuple

import numpy as np

from mtlkit.config.architecture import TaskSpec
from mtlkit.config.from_json import without_nan
from mtlkit.evaluation.figures import UNDEFINED, Measured, bootstrap
from mtlkit.evaluation.intervals import Interval, Values, mcnemar
from mtlkit.evaluation.metric_names import ACCURACY, all_metrics
from mtlkit.evaluation.metrics import Array
from mtlkit.evaluation.task_metrics import examples_in, figures_of, hits_of, main_metric, score
from mtlkit.seeding import generator

LEVEL = 0.05  # significance level
Verdict = Literal["difference", "no clear difference", "tests disagree", "undefined"]


class Outputs(NamedTuple):
    """What one model gives for the rows, (N, outputs), and its description of the task."""

    spec: TaskSpec
    values: Array


@dataclass(frozen=True)
class Difference:
    """A metric of two models: `against` - `model`, with its 95 % interval (paired bootstrap). NaN where undefined."""

    metric: str
    model: float
    against: float
    interval: Interval

    @property
    def value(self) -> float:
        return self.against - self.model

    def to_json(self) -> dict[str, Any]:
        figures: dict[str, Any] = without_nan({"model": self.model, "against": self.against, "difference": self.value})
        return figures | {"difference_interval": self.interval.to_json()}


@dataclass(frozen=True)
class TaskComparison:
    """Two models on the same `rows` of a task: the difference of each metric, of F1 by class, and for tasks with one class per
    row McNemar's exact test: its p-value, and the numbers of rows that only one of the models gets right."""

    task: str
    kind: str
    rows: int
    main: str
    metrics: tuple[Difference, ...]
    classes: tuple[tuple[str, Difference], ...] = ()
    p: float | None = None
    only_model: int = 0
    only_against: int = 0

    @property
    def decisive(self) -> Difference:
        """The difference of the main metric."""
        return next(difference for difference in self.metrics if difference.metric == self.main)

    @property
    def tested(self) -> bool:
        """Whether McNemar's test is about the main metric."""
        return self.p is not None and self.main == ACCURACY.name

    @property
    def verdict(self) -> Verdict:
        """The joint verdict of the interval of the main metric and, if it is about the same metric, McNemar's test."""
        if isnan(self.decisive.interval.low):
            return "undefined"
        clear = not self.decisive.interval.holds_zero
        if self.tested and self.p is not None and (self.p < LEVEL) != clear:
            return "tests disagree"
        return "difference" if clear else "no clear difference"

    def to_json(self) -> dict[str, Any]:
        document: dict[str, Any] = {"kind": self.kind, "n": self.rows, "verdict": self.verdict}
        document["metrics"] = {difference.metric: difference.to_json() for difference in self.metrics}
        if self.classes:
            document["per_class"] = {label: {difference.metric: difference.to_json()} for label, difference in self.classes}
        if self.p is not None:
            document["mcnemar"] = {"p": self.p, "only_model": self.only_model, "only_against": self.only_against}
        return document


def compare_outputs(model: Outputs, against: Outputs, labels: Array, seed: int) -> TaskComparison:
    """Compares two models on N rows with encoded labels; both specs must have the same labels in the same order."""
    spec = model.spec
    sides = [figures_of(side.spec, side.values, labels) for side in (model, against)]

    def measure(counts: Values) -> Measured:
        left, right = (figures.measure(counts) for figures in sides)
        return Measured(_change(left.overall, right.overall), _change(left.per_class, right.per_class))

    rows = examples_in(spec, labels)
    intervals = bootstrap(measure, rows, sides[0].draws, generator(seed, "against", spec.name))
    left, right = (figures.values() for figures in sides)
    names = [name for name in all_metrics() if name in left.overall and name != "balanced_accuracy"]
    scores = [score(side.spec, side.values, labels) for side in (model, against)]
    metrics = []
    for name in names:
        undefined = any(name in side and side[name] is None for side in scores)  # also where values differ only by rounding
        before, after = (nan if undefined else float(side.overall[name][0]) for side in (left, right))
        metrics.append(Difference(name, before, after, UNDEFINED if undefined else intervals.overall.get(name, UNDEFINED)))
    classes = []
    for index, label in enumerate(scores[0].get("labels", spec.labels)):
        before, after = (float(side.per_class["f1"][0, index]) for side in (left, right))
        ends = intervals.per_class["f1"][index] if intervals.per_class else UNDEFINED
        classes.append((label, Difference("f1", before, after, ends)))
    hits = [hits_of(side.spec, side.values, labels) for side in (model, against)]
    comparison = TaskComparison(spec.name, spec.kind, rows, main_metric(spec), tuple(metrics), tuple(classes))
    if hits[0] is None or hits[1] is None:
        return comparison
    only = [int(np.sum(own & ~others)) for own, others in ((hits[0], hits[1]), (hits[1], hits[0]))]
    test = {"p": mcnemar(*only), "only_model": only[0], "only_against": only[1]}
    return TaskComparison(**{**vars(comparison), **test})


def _change(before: Mapping[str, Values], after: Mapping[str, Values]) -> dict[str, Values]:
    return {name: after[name] - values for name, values in before.items()}
