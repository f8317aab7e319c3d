"""How good a head is, by the kind of its task. Free of torch and of printing."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from mtlkit.config.architecture import Kind, TaskSpec
from mtlkit.config.task_kinds import KINDS
from mtlkit.evaluation.intervals import Measure
from mtlkit.evaluation.metric_names import Metric
from mtlkit.evaluation.metrics import Array, check_finite


class TaskMetrics(Protocol):
    """How outputs of one kind of task are scored. `metrics` are its figures, the first of which is the one to choose by."""

    metrics: ClassVar[tuple[Metric, ...]]

    def score(self, spec: TaskSpec, outputs: Array, labels: Array) -> dict[str, Any]:
        """All figures, from outputs (N, outputs) and labels as `encode_labels` makes them; None where one is undefined."""
        ...

    def measure(self, spec: TaskSpec, outputs: Array, labels: Array) -> Measure:
        """The first metric as a figure of each resample of the rows."""
        ...

    def decisions(self, spec: TaskSpec, outputs: Array) -> Array | None:
        """The class predicted for each row, (N,), as labels have it; None where a row is not of one class."""
        ...


def metrics_of(kind: Kind) -> TaskMetrics:
    """How a kind of task is scored."""
    return cast(TaskMetrics, KINDS[kind])


def main_metric(spec: TaskSpec) -> str:
    """The metric that the best epoch is chosen by."""
    return metrics_of(spec.kind).metrics[0].name


def score(spec: TaskSpec, outputs: Array, labels: Array) -> dict[str, Any]:
    """All metrics of a task, `kind` and `n` first.

    outputs (N, outputs) as the head gives them: logits, or predicted values. labels as `encode_labels` makes them. Raises
    NotFiniteError naming the first text whose outputs are not finite.
    """
    check_finite(outputs, f"output of '{spec.name}'")
    return {"kind": spec.kind, "n": len(labels), **metrics_of(spec.kind).score(spec, outputs, labels)}


def measure_of(spec: TaskSpec, outputs: Array, labels: Array) -> Measure:
    """The main metric of a task as a figure of each resample of its rows."""
    return metrics_of(spec.kind).measure(spec, outputs, labels)


def decisions_of(spec: TaskSpec, outputs: Array) -> Array | None:
    """The class that a head predicts for each row, (N,); None for a kind whose rows are not of one class each."""
    return metrics_of(spec.kind).decisions(spec, outputs)


def hits_of(spec: TaskSpec, outputs: Array, labels: Array) -> NDArray[np.bool_] | None:
    """Which rows get the right class, (N,); None for a kind whose rows are not of one class each."""
    decided = decisions_of(spec, outputs)
    return None if decided is None else np.equal(decided, labels)
