"""The scores of a finished training, from the metrics of its record: what tables, pages and notebooks show of each task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mtlkit.config.registries.task_kinds import KINDS
from mtlkit.evaluation.figures import ENDING
from mtlkit.evaluation.metric_names import all_metrics, written
from mtlkit.runs.record import MARKS

Ends = tuple[float, float]


@dataclass(frozen=True)
class Estimate:
    """A value with the ends of its 95 % interval, if that is known."""

    value: float
    interval: Ends | None = None

    @classmethod
    def of(cls, metrics: Mapping[str, Any], name: str) -> Estimate | None:
        """The metric of this name and its interval; None if it is undefined."""
        value = _number(metrics.get(name))
        return None if value is None else cls(value, _ends(metrics.get(f"{name}{ENDING}")))


@dataclass(frozen=True)
class TaskScores:
    """The main metric of a task: on validation rows, on test rows if there are any, and its `change` against the starting model
    on validation rows, if that knew the task.

    `epoch` is the task's own best epoch, if the run records it, with `best`, its score then. `mark` says if the validation score
    is not of held-out rows. `test_split` is what the test rows are called, and `test_rows` how many there are.
    """

    task: str
    metric: str
    validation: Estimate | None = None
    test: Estimate | None = None
    change: Estimate | None = None
    epoch: int | None = None
    best: float | None = None
    mark: str | None = None
    test_split: str = ""
    test_rows: int | None = None

    def written(self, estimate: Estimate | None) -> str:
        """A value of the main metric with its interval, such as `91.2 (83.0..95.7)`."""
        if estimate is None:
            return "-"
        ends = "" if estimate.interval is None else f" ({'..'.join(written(end, self.metric) for end in estimate.interval)})"
        return f"{written(estimate.value, self.metric)}{ends}"


def scores_of(metrics: Mapping[str, Any]) -> list[TaskScores]:
    """The scores of all tasks of a run, in the order of its record; nothing for a base, which has none."""
    return list(_scores(metrics))


def _scores(metrics: Mapping[str, Any]) -> Iterator[TaskScores]:
    validation, test = _rows(metrics.get("validation")), _rows(metrics.get("test"))
    bests, kept = _rows(metrics.get("best_per_task")), metrics.get("best_epoch")
    changes = _changes(metrics.get("forgetting"))
    for task in dict.fromkeys([*validation, *test]):
        own, tested, best = validation.get(task, {}), test.get(task, {}), bests.get(task, {})
        name = _main_metric(own, tested, best, changes.get(task, {}))
        if name is None:
            continue
        change = changes.get(task)
        epoch = best.get("epoch", kept)
        rows = tested.get("n")
        yield TaskScores(
            task,
            name,
            Estimate.of(own, name),
            Estimate.of(tested, name),
            None if change is None else Estimate.of({**change, f"change{ENDING}": change.get("interval")}, "change"),
            epoch if isinstance(epoch, int) else None,
            _number(best.get("score")),
            next((mark for mark in MARKS if own.get(mark)), None),
            str(tested.get("split", "")),
            rows if isinstance(rows, int) else None,
        )


def _main_metric(
    own: Mapping[str, Any], tested: Mapping[str, Any], best: Mapping[str, Any], change: Mapping[str, Any]
) -> str | None:
    """The main metric of a task: the one that has an interval. Records of earlier versions have none: then the one that equals
    the recorded best score, or the first."""
    known = [name for name in all_metrics() if name in own]
    if change.get("metric") in all_metrics():
        return str(change["metric"])
    if with_interval := [name for name in known if f"{name}{ENDING}" in own]:
        return with_interval[0]
    kind = tested.get("kind")
    if isinstance(kind, str) and kind in KINDS:
        return next((metric.name for metric in KINDS[kind].metrics if metric.name in tested), None)
    equal = [name for name in known if own[name] is not None and own[name] == best.get("score")]
    return next(iter([*equal, *known]), None)


def _changes(report: Any) -> dict[str, Mapping[str, Any]]:
    changes = report.get("changes") if isinstance(report, dict) else None
    return {str(change.get("task")): change for change in changes or () if isinstance(change, dict)}


def _rows(value: Any) -> dict[str, Mapping[str, Any]]:
    return {name: row for name, row in value.items() if isinstance(row, dict)} if isinstance(value, dict) else {}


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _ends(value: Any) -> Ends | None:
    ends = [_number(end) for end in value] if isinstance(value, (list, tuple)) else []
    return (ends[0], ends[1]) if len(ends) == 2 and ends[0] is not None and ends[1] is not None else None
