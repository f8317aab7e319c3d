"""Evaluates a head according to the kind of its task. Imports no torch and prints nothing."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from mtlkit.config.architecture import Kind, TaskSpec
from mtlkit.config.registries.task_kinds import KINDS
from mtlkit.evaluation.figures import Figures, with_intervals
from mtlkit.evaluation.intervals import Interval, Measure, percentiles, resamples, wilson
from mtlkit.evaluation.metric_names import Metric
from mtlkit.evaluation.metrics import Array, check_finite
from mtlkit.seeding import generator


class TaskMetrics(Protocol):
    """The metrics of one kind of task. `metrics` are their names."""

    metrics: ClassVar[tuple[Metric, ...]]

    def score(self, spec: TaskSpec, outputs: Array, labels: Array) -> dict[str, Any]:
        """All metrics, from outputs (N, outputs) and labels encoded by `encode_labels`; undefined ones are None."""
        ...

    def measure(self, spec: TaskSpec, outputs: Array, labels: Array) -> Measure:
        """The first metric as a function of the resampled rows."""
        ...

    def figures(self, spec: TaskSpec, outputs: Array, labels: Array) -> Figures:
        """All metrics as functions of the resampled rows, for their intervals."""
        ...

    def decisions(self, spec: TaskSpec, outputs: Array) -> Array | None:
        """The predicted class of each row, (N,), encoded like the labels; None if rows do not have one class each."""
        ...

    def main_metric(self, spec: TaskSpec) -> Metric:
        """The metric that selects the best epoch."""
        ...

    def examples(self, labels: Array) -> int:
        """The number of rows that encoded labels belong to, of which a bootstrap draws."""
        ...

    def exact(self, spec: TaskSpec, outputs: Array, labels: Array) -> NDArray[np.bool_] | None:
        """Whether all that is predicted for a row is right, (rows,), for kinds with a class for each row or word."""
        ...


def metrics_of(kind: Kind) -> TaskMetrics:
    """The registered `TaskMetrics` of a kind of task."""
    return cast(TaskMetrics, KINDS[kind])


def main_metric(spec: TaskSpec) -> str:
    """The metric that selects the best epoch."""
    return metrics_of(spec.kind).main_metric(spec).name


def score(spec: TaskSpec, outputs: Array, labels: Array) -> dict[str, Any]:
    """All metrics of a task, preceded by `kind` and `n`.

    outputs: (N, outputs) logits or predicted values from the head. labels: encoded by `encode_labels`. Raises NotFiniteError for
    the first text with non-finite outputs.
    """
    check_finite(outputs, f"output of '{spec.name}'")
    return {"kind": spec.kind, "n": examples_in(spec, labels), **metrics_of(spec.kind).score(spec, outputs, labels)}


def examples_in(spec: TaskSpec, labels: Array) -> int:
    """The number of rows that encoded labels belong to: texts, pairs of texts, or for labels of words their texts."""
    return metrics_of(spec.kind).examples(labels)


def estimate(spec: TaskSpec, outputs: Array, labels: Array, seed: int) -> dict[str, Any]:
    """All metrics as `score` returns them, with average precision, AUROC and 95 % intervals: NAME_interval is [low, high]."""
    metrics = score(spec, outputs, labels)
    if not len(labels):
        return metrics
    return with_intervals(metrics, figures_of(spec, outputs, labels), generator(seed, "eval", spec.name))


def main_interval(spec: TaskSpec, outputs: Array, labels: Array) -> Interval | None:
    """The 95 % interval of the main metric alone, as `estimate` computes it with seed 0; None if it is undefined."""
    figures, name = figures_of(spec, outputs, labels), main_metric(spec)
    if name in figures.shares:
        return wilson(*figures.shares[name])
    if figures.rows < 2:
        return None
    measure, random = measure_of(spec, outputs, labels), generator(0, "eval", spec.name)
    interval = percentiles(np.concatenate([measure(counts) for counts in resamples(figures.rows, random, figures.draws)]))
    return None if interval.to_json() is None else interval


def figures_of(spec: TaskSpec, outputs: Array, labels: Array) -> Figures:
    """All metrics of a task as functions of the resampled rows."""
    return metrics_of(spec.kind).figures(spec, outputs, labels)


def measure_of(spec: TaskSpec, outputs: Array, labels: Array) -> Measure:
    """The main metric of a task as a function of the resampled rows."""
    return metrics_of(spec.kind).measure(spec, outputs, labels)


def decisions_of(spec: TaskSpec, outputs: Array) -> Array | None:
    """The predicted class of each row, (N,); None for kinds of task without one class per row."""
    return metrics_of(spec.kind).decisions(spec, outputs)


def hits_of(spec: TaskSpec, outputs: Array, labels: Array) -> NDArray[np.bool_] | None:
    """Whether each row is classified correctly, (N,); None for kinds of task without one class per row."""
    decided = decisions_of(spec, outputs)
    return None if decided is None else np.equal(decided, labels)


def exact_of(spec: TaskSpec, outputs: Array, labels: Array) -> NDArray[np.bool_] | None:
    """Whether all that is predicted for each row is right, (rows,); None for kinds of task without a class per row or word."""
    return metrics_of(spec.kind).exact(spec, outputs, labels)
