"""Multi-task vs. single-task training: differences of each task's main metric. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from math import isnan, nan
from typing import Any

import numpy as np

from mtlkit.config.architecture import TaskSpec
from mtlkit.config.from_json import without_nan
from mtlkit.evaluation.intervals import Interval, Measure, Values, bootstrap_change, holm, mcnemar, permutation_p, student
from mtlkit.evaluation.metrics import Array
from mtlkit.evaluation.task_metrics import exact_of, examples_in, main_metric, measure_of, score
from mtlkit.seeding import generator

LEVEL = 0.05  # significance level


@dataclass(frozen=True)
class TaskSharing:
    """A task trained together with others and alone, evaluated on the same `rows` of `split`. Differences are together - alone.

    together, alone: its main metric by seed; the first seed is the run's. interval: of the mean difference over resampled rows
    (paired bootstrap), for these trained models. over_seeds: of the mean difference over seeds (Student's t), which includes
    training variance; None with one seed. p: p-value by seed for equality, by McNemar's exact test (one class per row:
    `only_together` and `only_alone` count the rows that only one of them gets right) or a paired permutation test. The seeds are
    tested on the same rows, so their p-values must not be multiplied: `holm` is that of the first seed, the run itself, adjusted
    for the number of tasks.
    """

    task: str
    kind: str
    metric: str
    split: str
    rows: int
    together: tuple[float, ...]
    alone: tuple[float, ...]
    interval: Interval
    over_seeds: Interval | None
    p: tuple[float, ...]
    only_together: tuple[int, ...] = ()
    only_alone: tuple[int, ...] = ()
    holm: float = 1.0

    @property
    def differences(self) -> list[float]:
        return [together - alone for together, alone in zip(self.together, self.alone, strict=True)]

    @property
    def difference(self) -> float:
        """The mean difference over seeds."""
        return mean(self.differences)

    @property
    def beyond_noise(self) -> bool:
        """Whether there is evidence of a difference: the run's own test, the interval over rows, and with several seeds the
        interval over seeds agree on it and on its sign.
        """
        if self.holm >= LEVEL or self.interval.holds_zero or self.differences[0] * self.difference <= 0:
            return False
        return self.over_seeds is None or not self.over_seeds.holds_zero

    @property
    def within_noise(self) -> bool:
        """Whether neither the test nor any interval shows a difference. If they disagree, `beyond_noise` is false too."""
        return self.holm >= LEVEL and self.interval.holds_zero and (self.over_seeds is None or self.over_seeds.holds_zero)

    def to_json(self) -> dict[str, Any]:
        seeds = self.over_seeds.to_json() if self.over_seeds else None
        nested = {"difference": self.difference, "interval": self.interval.to_json(), "over_seeds": seeds}
        plain: dict[str, Any] = without_nan(asdict(self) | nested)
        return plain | {"beyond_noise": self.beyond_noise}


@dataclass(frozen=True)
class SharingReport:
    """All tasks, and Delta = mean over tasks of (M_t - B_t) / B_t, with M_t together and B_t alone (Maninis et al. 2019;
    Vandenhende et al. 2021), by seed.

    `left_out` are tasks excluded from Delta because they scored 0 or below alone for some seed, as correlations can: the ratio is
    undefined. delta: the mean over seeds, None if all tasks are excluded; interval: 95 % over seeds (Student's t), None with one
    seed.
    """

    seeds: tuple[int, ...]
    tasks: tuple[TaskSharing, ...]
    deltas: tuple[float, ...]
    delta: float | None
    interval: Interval | None
    left_out: tuple[str, ...] = ()

    @property
    def beyond_noise(self) -> bool:
        """Whether the interval over seeds excludes 0; False with one seed."""
        return self.interval is not None and not self.interval.holds_zero

    def to_json(self) -> dict[str, Any]:
        interval = self.interval.to_json() if self.interval else None
        tasks = [task.to_json() for task in self.tasks]
        plain: dict[str, Any] = without_nan({**vars(self), "interval": interval, "tasks": tasks})
        return plain | {"beyond_noise": self.beyond_noise}


def sharing_report(seeds: Sequence[int], tasks: Sequence[TaskSharing]) -> SharingReport:
    """The report of all tasks, which must have the same seeds."""
    corrected = holm([task.p[0] for task in tasks])
    shares = {task.task: _relative(task) for task in tasks}
    counted = [share for share in shares.values() if share is not None]
    deltas = tuple(mean(column) for column in zip(*counted, strict=True))
    return SharingReport(
        seeds=tuple(seeds),
        tasks=tuple(replace(task, holm=p) for task, p in zip(tasks, corrected, strict=True)),
        deltas=deltas,
        delta=mean(deltas) if deltas else None,
        interval=student(deltas),
        left_out=tuple(name for name, share in shares.items() if share is None),
    )


def _relative(task: TaskSharing) -> list[float] | None:
    """(M - B) / B by seed; None if it is undefined for any of them."""
    if not min(task.alone) > 0 or any(map(isnan, task.differences)):
        return None
    return [difference / alone for difference, alone in zip(task.differences, task.alone, strict=True)]


def task_sharing(spec: TaskSpec, split: str, labels: Array, together: Sequence[Array], alone: Sequence[Array]) -> TaskSharing:
    """Compares the outputs on the same rows of the models of each seed, trained together and alone, each (N, outputs)."""
    metric = main_metric(spec)
    figures = [tuple(_figure(spec, outputs, labels) for outputs in side) for side in (together, alone)]
    rows = examples_in(spec, labels)
    measures = [_mean_measure([measure_of(spec, outputs, labels) for outputs in side]) for side in (alone, together)]
    result = TaskSharing(
        task=spec.name,
        kind=spec.kind,
        metric=metric,
        split=split,
        rows=rows,
        together=figures[0],
        alone=figures[1],
        interval=bootstrap_change(measures[0], measures[1], rows, generator(0, "sharing", spec.name)),
        over_seeds=student([shared - single for shared, single in zip(*figures, strict=True)]),
        p=(),
    )
    pairs = list(zip(together, alone, strict=True))
    hits = [(exact_of(spec, shared, labels), exact_of(spec, single, labels)) for shared, single in pairs]
    counts = [(shared & ~single, single & ~shared) for shared, single in hits if shared is not None and single is not None]
    if counts:
        gained, lost = (tuple(int(rows.sum()) for rows in side) for side in zip(*counts, strict=True))
        return replace(result, p=tuple(map(mcnemar, gained, lost)), only_together=gained, only_alone=lost)
    return replace(result, p=tuple(_permuted(spec, labels, *pair) for pair in pairs))


def _figure(spec: TaskSpec, outputs: Array, labels: Array) -> float:
    value: float | None = score(spec, outputs, labels)[main_metric(spec)]
    return nan if value is None else value


def _permuted(spec: TaskSpec, labels: Array, together: Array, alone: Array) -> float:
    random = generator(0, "exchange", spec.name)
    return permutation_p(lambda outputs: _figure(spec, outputs, labels), together, alone, random)


def _mean_measure(measures: Sequence[Measure]) -> Measure:
    """The mean of several metrics on the same rows."""

    def measure(counts: Values) -> Values:
        mean: Values = np.mean([metric(counts) for metric in measures], axis=0)
        return mean

    return measure


def mean(values: Sequence[float]) -> float:
    return float(np.mean(values))
