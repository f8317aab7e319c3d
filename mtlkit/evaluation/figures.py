"""All metrics of a task with their 95 % intervals: Wilson for proportions, bootstrap over rows for the rest. No torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import nan
from typing import Any, NamedTuple

import numpy as np

from mtlkit.evaluation.intervals import RESAMPLES, Interval, Values, percentiles, resamples, wilson
from mtlkit.evaluation.metric_names import RANKING
from mtlkit.evaluation.metrics import Array, because, known

LEAST_RESAMPLES = 200
WORK = 1 << 29  # rows x classes x resamples that all metrics of a task may take
UNDEFINED = Interval(nan, nan)
ENDING = "_interval"  # of the key of an interval beside that of its metric
DETAILS = ("labels", "confusion", "word_confusion", "per_class", "undefined")  # what comes after the metrics in JSON


class Measured(NamedTuple):
    """Metrics of R resamples of rows: `overall` (R,), `per_class` (R, classes); NaN where undefined."""

    overall: dict[str, Values]
    per_class: dict[str, Values]


class Intervals(NamedTuple):
    """An interval per metric, and one per class and metric."""

    overall: dict[str, Interval]
    per_class: dict[str, list[Interval]]


@dataclass(frozen=True)
class Figures:
    """All metrics of a task on N rows, as functions of the resampled rows.

    measure: counts of N rows in each resample, (R, N), to all metrics. shares, class_shares: hits and totals of proportions,
    which get Wilson's interval. reasons, class_reasons: why average precision and AUROC are undefined. positive: the class that
    these two are about; None for their mean over classes.
    """

    rows: int
    measure: Callable[[Values], Measured]
    classes: int = 1
    shares: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    class_shares: Mapping[str, tuple[Array, Array]] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)
    class_reasons: tuple[Mapping[str, str], ...] = ()
    positive: str | None = None

    @property
    def draws(self) -> int:
        """The number of resamples: fewer where rows and classes are so many that all would take long."""
        return max(LEAST_RESAMPLES, min(RESAMPLES, WORK // max(1, self.rows * self.classes)))

    def values(self) -> Measured:
        """The metrics of the rows themselves, (1,) and (1, classes)."""
        return self.measure(np.ones((1, self.rows)))

    def intervals(self, random: np.random.Generator) -> Intervals:
        """The intervals of all metrics. Those that need a bootstrap are undefined for fewer than two rows."""
        overall, per_class = bootstrap(self.measure, self.rows, self.draws, random)
        overall |= {name: _wilson(*counts) for name, counts in self.shares.items()}
        for name, (hits, totals) in self.class_shares.items():
            per_class[name] = [_wilson(int(hit), int(total)) for hit, total in zip(hits, totals, strict=True)]
        return Intervals(overall, per_class)


def bootstrap(measure: Callable[[Values], Measured], rows: int, draws: int, random: np.random.Generator) -> Intervals:
    """Percentile intervals (Efron 1979) of all metrics on the same resamples of the rows; none for fewer than two rows."""
    if rows < 2:
        return Intervals({}, {})
    samples = [measure(counts) for counts in resamples(rows, random, draws)]
    overall = {name: percentiles(np.concatenate([sample.overall[name] for sample in samples])) for name in samples[0].overall}
    per_class = {name: np.concatenate([sample.per_class[name] for sample in samples]) for name in samples[0].per_class}
    return Intervals(overall, {name: [percentiles(column) for column in values.T] for name, values in per_class.items()})


def _wilson(hits: int, total: int) -> Interval:
    return wilson(hits, total) if total else UNDEFINED


def joined(first: Figures, second: Figures) -> Figures:
    """The figures of `second`, with metrics that only `first` measures on the same rows."""

    def measure(counts: Values) -> Measured:
        overall, per_class = second.measure(counts)
        return Measured({**first.measure(counts).overall, **overall}, per_class)

    return Figures(**{**vars(second), "measure": measure})


def with_intervals(document: Mapping[str, Any], figures: Figures, random: np.random.Generator) -> dict[str, Any]:
    """The metrics of `score`, each followed by NAME_interval: [low, high] or None, and with average precision and AUROC where the
    figures have them."""
    values, intervals = figures.values(), figures.intervals(random)
    metrics = {name: value for name, value in document.items() if name not in DETAILS}
    metrics |= {name: _value(values.overall[name][0]) for name in RANKING if name in values.overall}
    result = _beside(metrics, intervals.overall, {name for name in (*values.overall, *figures.shares) if name in metrics})
    if figures.positive is not None:
        result["positive_class"] = figures.positive
    missing = {name: why for name, why in figures.reasons.items() if name in result and result[name] is None}
    result |= {name: document[name] for name in ("labels", "confusion", "word_confusion") if name in document}
    if "per_class" in document:
        rows = enumerate(document["per_class"].items())
        result["per_class"] = {label: _class_row(index, row, values, intervals, figures) for index, (label, row) in rows}
    return result | because({**document.get("undefined", {}), **missing})


def _class_row(index: int, row: Mapping[str, Any], values: Measured, intervals: Intervals, figures: Figures) -> dict[str, Any]:
    own = {name: value for name, value in row.items() if name not in ("support", "undefined")}
    own |= {name: _value(values.per_class[name][0, index]) for name in RANKING if name in values.per_class}
    result = _beside(own, {name: column[index] for name, column in intervals.per_class.items()}, set(own))
    reasons = figures.class_reasons[index] if figures.class_reasons else {}
    return result | {"support": row["support"]} | because({**row.get("undefined", {}), **reasons})


def _beside(metrics: Mapping[str, Any], intervals: Mapping[str, Interval], names: set[str]) -> dict[str, Any]:
    """Metrics, those in `names` followed by their intervals; an undefined metric has none."""
    result: dict[str, Any] = {}
    for name, value in metrics.items():
        result[name] = value
        if name in names:
            result[f"{name}{ENDING}"] = None if value is None else intervals.get(name, UNDEFINED).to_json()
    return result


def _value(value: Any) -> float | None:
    return known(float(value))
