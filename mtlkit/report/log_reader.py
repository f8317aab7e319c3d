"""Reads the curves of a training from its log: losses and scores of each task, raw and smoothed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import isfinite, sqrt
from pathlib import Path
from typing import Any

from mtlkit.config.from_json import parse_json
from mtlkit.config.registries.task_kinds import KINDS
from mtlkit.config.small_files import check_file
from mtlkit.errors import IntegrityError, UsageError, listed
from mtlkit.evaluation.metric_names import all_metrics
from mtlkit.training.events import GUARD

NEXT_TOKEN = "next token"  # the only loss of a base


@dataclass(frozen=True)
class Series:
    """Values by step, in the order of steps, without values that are not finite."""

    steps: tuple[int, ...] = ()
    values: tuple[float, ...] = ()

    def __len__(self) -> int:
        return len(self.steps)

    def smoothed(self, span: int | None = None) -> Series:
        """The series smoothed over about `span` points (None: `usual_span`)."""
        return Series(self.steps, tuple(smooth(self.values, span or usual_span(len(self)))))

    def to_json(self) -> dict[str, list[Any]]:
        return {"steps": list(self.steps), "values": list(self.values)}


@dataclass(frozen=True)
class TaskCurves:
    """The curves of a task: its training loss at every step that contains it, and validation loss and main metric at the step
    of each evaluation (0: before training).
    """

    task: str
    train: Series
    validation: Series
    metric: str = ""
    scores: Series = field(default_factory=Series)

    def to_json(self, span: int | None) -> dict[str, Any]:
        train = {**self.train.to_json(), "smoothed": list(self.train.smoothed(span).values)}
        scores = {"metric": self.metric, **self.scores.to_json()} if self.metric else None
        return {"train": train, "validation": self.validation.to_json(), "scores": scores}


@dataclass(frozen=True)
class Kept:
    """The evaluation whose weights are kept, or would be if the training ended now: its step, and its epoch if known."""

    step: int
    epoch: int | None = None

    def __str__(self) -> str:
        return f"step {self.step:,}" if self.epoch is None else f"epoch {self.epoch:,}"


@dataclass(frozen=True)
class Curves:
    """The curves in a log: of tasks, of guards by name, and the gradient norm before clipping. `epochs` are the steps at which
    epochs ended, `solved` the tasks whose heads L-BFGS solved, without steps. `kept` is the evaluation whose weights are kept.
    """

    tasks: tuple[TaskCurves, ...]
    guards: dict[str, Series]
    gradient_norm: Series
    epochs: tuple[int, ...]
    solved: tuple[str, ...] = ()
    kept: Kept | None = None

    def to_json(self, span: int | None = None) -> dict[str, Any]:
        guards = {
            name: {**losses.to_json(), "smoothed": list(losses.smoothed(span).values)} for name, losses in self.guards.items()
        }
        tasks = {task.task: task.to_json(span) for task in self.tasks}
        kept = None if self.kept is None else asdict(self.kept)
        return {
            "tasks": tasks,
            "guards": guards,
            "gradient_norm": self.gradient_norm.to_json(),
            "epochs": list(self.epochs),
            "kept": kept,
        }


def solved_without_steps(curves: Curves) -> str:
    """Why there is nothing to plot: heads were solved."""
    return f"heads solved by L-BFGS, which takes no steps and has no curves ({listed(curves.solved)})"


def usual_span(points: int) -> int:
    """The default span of smoothing: the square root of the number of points."""
    return max(1, round(sqrt(points)))


def smooth(values: Sequence[float], span: int) -> list[float]:
    """The exponential moving average with bias correction (Kingma & Ba 2015, section 3): m_t / (1 - b^t), with m_t = b m_(t-1) +
    (1 - b) x_t, m_0 = 0 and b = 1 - 1 / span. A span of 1 returns the values themselves.
    """
    decay, mean, weight, smoothed = 1 - 1 / span, 0.0, 1.0, []
    for value in values:
        mean = decay * mean + (1 - decay) * value
        weight *= decay
        smoothed.append(mean / (1 - weight))
    return smoothed


def read_curves(path: Path) -> Curves:
    """Reads a `metrics.jsonl`, which may belong to a training that is running or was killed: an incomplete last line and unknown
    records are ignored.

    Raises UsageError if the file cannot be read, IntegrityError that names a damaged line.
    """
    log = LogReader()
    read_log(path, log.take)
    return log.curves()


def read_log(path: Path, take: Callable[[Mapping[str, Any]], None]) -> None:
    """Gives the records of a log, one after another, to `take`. Raises as `read_curves`."""
    try:
        check_file(path)
        with path.open("rb") as file:
            for number, text in enumerate(file, 1):
                read_line(text, f"{path}:{number}", take)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}; name the folder of a run that a training wrote") from None


def read_line(text: bytes, place: str, take: Callable[[Mapping[str, Any]], None]) -> None:
    """Gives the record of a line to `take`, unless the line is incomplete. Raises IntegrityError, naming the place, if it is
    damaged."""
    try:
        take(parse_json(text))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        if text.endswith(b"\n"):
            reason = f"no {error}" if isinstance(error, KeyError) else error
            raise IntegrityError(f"{place}: not a line of a training log ({reason}); restore it") from None


class LogReader:
    """Collects the records of a log, line by line. A step that was repeated after a resume replaces the earlier one."""

    def __init__(self) -> None:
        self.step = 0
        self.train: dict[str, dict[int, float]] = defaultdict(dict)
        self.validation: dict[str, dict[int, float]] = defaultdict(dict)
        self.scores: dict[str, dict[int, float]] = defaultdict(dict)
        self.metrics: dict[str, str] = {}
        self.norms: dict[int, float] = {}
        self.epochs: set[int] = set()
        self.solved: list[str] = []
        self.kept: Kept | None = None

    def take(self, line: Mapping[str, Any]) -> None:
        """Takes a record: a step or an evaluation; others are ignored. In logs of earlier versions, without a "type", an
        evaluation may have no step, which then is the last one; only those at the end of an epoch name it; and those of a base
        have a different form.
        """
        self.step = int(line.get("step", self.step))
        if "tasks" in line:
            ends_epoch = line["type"] == "epoch" if "type" in line else "epoch" in line
            if ends_epoch and self.step:
                self.epochs.add(self.step)
            if line.get("best") and self.step and line.get("epoch") != 0:  # 0: heads that were solved
                self.kept = Kept(self.step, line.get("epoch"))
            for state in line["tasks"]:
                self._evaluation(state["task"], state["kind"], state["validation"])
        elif line.get("event") == "head_solved":
            self.solved.append(line["task"])
        elif "validation" in line:
            self._evaluation(NEXT_TOKEN, "", line["validation"])
        elif "losses" in line or "loss" in line:
            for name, loss in (line["losses"] if "losses" in line else {NEXT_TOKEN: line["loss"]}).items():
                note(self.train[name], self.step, loss)
            note(self.norms, self.step, line.get("gradient_norm", line.get("gradient norm")))

    def _evaluation(self, task: str, kind: str, validation: Mapping[str, Any]) -> None:
        if not isinstance(task, str):
            raise TypeError(f"a task named {task!r}")
        note(self.validation[task], self.step, validation.get("loss"))
        if metric := logged_metric(kind, validation):
            self.metrics[task] = metric
            note(self.scores[task], self.step, validation.get(metric))

    def curves(self) -> Curves:
        names = dict.fromkeys([*self.validation, *self.train])  # in the order of the run's tasks, which evaluations keep
        tasks = [self._task(name) for name in names if not name.startswith(GUARD)]
        guards = {name.removeprefix(GUARD): series(self.train[name]) for name in names if name.startswith(GUARD)}
        return Curves(tuple(tasks), guards, series(self.norms), tuple(sorted(self.epochs)), tuple(self.solved), self.kept)

    def _task(self, name: str) -> TaskCurves:
        train, validation, scores = (series(values[name]) for values in (self.train, self.validation, self.scores))
        return TaskCurves(name, train, validation, self.metrics.get(name, ""), scores)


def logged_metric(kind: str, validation: Mapping[str, Any]) -> str | None:
    """The name of the main metric of a task of this kind in a logged evaluation."""
    own = KINDS[kind].metrics if kind in KINDS else ()
    return next((metric.name for metric in (*own, *all_metrics().values()) if metric.name in validation), None)


def note(values: dict[int, float], step: int, value: float | None) -> None:
    """Stores a value if it is a finite number."""
    if value is not None and isfinite(value):
        values[step] = float(value)


def series(values: Mapping[int, float]) -> Series:
    steps = sorted(values)
    return Series(tuple(steps), tuple(values[step] for step in steps))
