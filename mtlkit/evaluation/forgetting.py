"""Effect of a training on the existing tasks of its starting model: changes, intervals and confusions. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isnan, nan
from typing import Any

from mtlkit.config.architecture import TaskSpec
from mtlkit.config.from_json import without_nan
from mtlkit.evaluation.intervals import Interval, bootstrap_change
from mtlkit.evaluation.metrics import Array, confusion
from mtlkit.evaluation.task_metrics import decisions_of, examples_in, main_metric, measure_of, score
from mtlkit.seeding import generator


@dataclass(frozen=True)
class ClassFall:
    """A class whose recall fell, from `before` to `after`, over its `support` texts."""

    label: str
    before: float
    after: float
    support: int


@dataclass(frozen=True)
class ConfusionChange:
    """Texts of the class `true` that were predicted correctly before and as `predicted` now: their number, and their share of all
    texts that became wrong.
    """

    true: str
    predicted: str
    texts: int
    share: float


@dataclass(frozen=True)
class TaskChange:
    """The change of an existing task, on its validation rows.

    `change` is after - before, with its 95 % interval; `best` the maximum over all stages, including those before and after
    training; `forgetting` is best - after (Chaudhry et al. 2018). If each row has one class: the class whose recall fell most,
    and the pair of classes with the most texts that became wrong; None if absent.
    """

    task: str
    kind: str
    metric: str
    rows: int
    before: float
    best: float
    after: float
    change: float
    interval: Interval
    forgetting: float
    fallen: ClassFall | None = None
    pair: ConfusionChange | None = None

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "interval": self.interval.to_json()}


@dataclass(frozen=True)
class ForgettingReport:
    """Every task at every stage ("before", "epoch 1", ..., "after"), and the effect on existing tasks.

    matrix: task -> main metric at each stage, None if not measured; a task with a new head has no "before".
    backward_transfer: mean of after - before over the existing tasks (Lopez-Paz & Ranzato 2017).
    distances: part -> |w - w0| / |w0| in the Frobenius norm, None if w0 is all zeros and w is not.
    cosine_mean, cosine_least: cosine similarity of the vectors of `probes` texts before and after training.
    """

    stages: tuple[str, ...]
    matrix: Mapping[str, tuple[float | None, ...]]
    metrics: Mapping[str, str]
    changes: tuple[TaskChange, ...]
    backward_transfer: float | None
    distances: Mapping[str, float | None]
    cosine_mean: float | None
    cosine_least: float | None
    probes: int

    def to_json(self) -> dict[str, Any]:
        """JSON values; NaN and infinity become null."""
        values = {**vars(self), "changes": [change.to_json() for change in self.changes]}
        return {name: without_nan(value) for name, value in values.items()}


def task_change(spec: TaskSpec, labels: Array, before: Array, after: Array, best: float | None) -> TaskChange:
    """The change of a task, from the outputs before and after, each (N, outputs), and `best`, its maximum so far.
    Undefined values are NaN.
    """
    metric = main_metric(spec)
    decided = decisions_of(spec, before), decisions_of(spec, after)
    old, new = score(spec, before, labels), score(spec, after, labels)
    first, last = (nan if metrics[metric] is None else metrics[metric] for metrics in (old, new))
    best = max((value for value in (best, first, last) if value is not None and not isnan(value)), default=nan)
    measures = measure_of(spec, before, labels), measure_of(spec, after, labels)
    rows = examples_in(spec, labels)
    interval = bootstrap_change(*measures, rows, generator(0, "forgetting", spec.name))
    return TaskChange(
        task=spec.name,
        kind=spec.kind,
        metric=metric,
        rows=rows,
        before=first,
        best=best,
        after=last,
        change=last - first,
        interval=interval,
        forgetting=best - last,
        fallen=None if decided[0] is None else _fallen(old["per_class"], new["per_class"]),
        pair=None if decided[0] is None or decided[1] is None else _pair(spec, labels, decided[0], decided[1]),
    )


def _fallen(before: dict[str, dict[str, Any]], after: dict[str, dict[str, Any]]) -> ClassFall | None:
    """The class whose recall fell most, the first on ties."""
    label = max(before, key=lambda label: (before[label]["recall"] or 0.0) - (after[label]["recall"] or 0.0))
    old, new = before[label], after[label]
    if not old["support"]:
        return None
    return ClassFall(label, old["recall"], new["recall"], old["support"]) if new["recall"] < old["recall"] else None


def _pair(spec: TaskSpec, labels: Array, before: Array, after: Array) -> ConfusionChange | None:
    """The most frequent confusion among texts that were right before and are wrong after."""
    lost = (before == labels) & (after != labels)
    if not lost.any():
        return None
    matrix = confusion(len(spec.labels), labels[lost], after[lost])
    true, predicted = divmod(int(matrix.argmax()), len(spec.labels))
    texts = int(matrix.max())
    return ConfusionChange(spec.labels[true], spec.labels[predicted], texts, texts / int(lost.sum()))


def backward_transfer(changes: tuple[TaskChange, ...]) -> float | None:
    """Mean of after - before over the existing tasks for which it is defined; None if there are none."""
    defined = [change.change for change in changes if not isnan(change.change)]
    return sum(defined) / len(defined) if defined else None
