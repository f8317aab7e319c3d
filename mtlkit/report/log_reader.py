"""The losses of a training, task by task, as its log tells them: every step as it was, and smoothed. Nothing here prints."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite, sqrt
from pathlib import Path
from typing import Any

from mtlkit.config.from_json import parse_json
from mtlkit.config.registries.task_kinds import KINDS
from mtlkit.config.small_files import check_file
from mtlkit.errors import IntegrityError, UsageError
from mtlkit.evaluation.metric_names import all_metrics
from mtlkit.training.events import GUARD

NEXT_TOKEN = "next token"  # the one loss of a base


@dataclass(frozen=True)
class Series:
    """Values by step, in the order of steps; what was not finite is left out."""

    steps: tuple[int, ...] = ()
    values: tuple[float, ...] = ()

    def __len__(self) -> int:
        return len(self.steps)

    def smoothed(self, span: int | None = None) -> Series:
        """The running mean over about `span` points (None: `usual_span`)."""
        return Series(self.steps, tuple(smooth(self.values, span or usual_span(len(self)))))

    def to_json(self) -> dict[str, list[Any]]:
        return {"steps": list(self.steps), "values": list(self.values)}


@dataclass(frozen=True)
class TaskCurves:
    """A task: its train loss at every step that held it; its validation loss and its main metric at the step where each
    evaluation was, 0 being before training."""

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
class Curves:
    """What a log holds. Guards by their names; `gradient_norm` is before clipping; `epochs` are the steps where these ended."""

    tasks: tuple[TaskCurves, ...]
    guards: dict[str, Series]
    gradient_norm: Series
    epochs: tuple[int, ...]

    def to_json(self, span: int | None = None) -> dict[str, Any]:
        guards = {name: {**one.to_json(), "smoothed": list(one.smoothed(span).values)} for name, one in self.guards.items()}
        tasks = {one.task: one.to_json(span) for one in self.tasks}
        return {"tasks": tasks, "guards": guards, "gradient_norm": self.gradient_norm.to_json(), "epochs": list(self.epochs)}


def usual_span(points: int) -> int:
    """How many points a smoothed one stands for: 10 of 100, 100 of 10,000."""
    return max(1, round(sqrt(points)))


def smooth(values: Sequence[float], span: int) -> list[float]:
    """An exponential mean of about `span` values, without the bias of its start: m_t = b m_(t-1) + (1 - b) x_t from m_0 = 0,
    with b = 1 - 1 / span, divided by 1 - b^t (Kingma & Ba 2015, "Adam", section 3). So the first is x_1 itself, the next ones
    are nearly plain means, and later ones lag by about `span` values. A span of 1 gives the values back."""
    kept, mean, weight, found = 1 - 1 / span, 0.0, 1.0, []
    for value in values:
        mean = kept * mean + (1 - kept) * value
        weight *= kept
        found.append(mean / (1 - weight))
    return found


def read_curves(path: Path) -> Curves:
    """Reads a `metrics.jsonl`, also of a training that goes on or was killed: a last line that is cut off is left out, and so
    are kinds of lines that are not known here.

    Raises UsageError for a file that cannot be read, IntegrityError naming the line that is none of a log.
    """
    log = _Log()
    try:
        check_file(path)
        with path.open("rb") as file:
            for number, text in enumerate(file, 1):
                try:
                    log.take(parse_json(text))
                except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
                    if text.endswith(b"\n"):
                        said = f"no {error}" if isinstance(error, KeyError) else error
                        raise IntegrityError(f"{path}:{number}: not a line of a training's log ({said}); restore it") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}; name the folder of a run that a training wrote") from None
    return log.curves()


class _Log:
    """Collects lines. A step that is repeated after a resume replaces the earlier one."""

    def __init__(self) -> None:
        self.step = 0
        self.train: dict[str, dict[int, float]] = defaultdict(dict)
        self.validation: dict[str, dict[int, float]] = defaultdict(dict)
        self.scores: dict[str, dict[int, float]] = defaultdict(dict)
        self.metrics: dict[str, str] = {}
        self.norms: dict[int, float] = {}
        self.epochs: set[int] = set()

    def take(self, line: Mapping[str, Any]) -> None:
        """A step or an evaluation; other records are passed over. In logs of earlier versions (without a "type"), an evaluation
        without a step is of the last one, only those at the end of an epoch name it, and those of a base have a form of their
        own."""
        self.step = int(line.get("step", self.step))
        if "tasks" in line:
            ends_epoch = line["type"] == "epoch" if "type" in line else "epoch" in line
            if ends_epoch and self.step:
                self.epochs.add(self.step)
            for state in line["tasks"]:
                self._evaluation(state["task"], state["kind"], state["validation"])
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
        own = KINDS[kind].metrics if kind in KINDS else ()
        metric = next((metric.name for metric in (*own, *all_metrics().values()) if metric.name in validation), None)
        if metric:
            self.metrics[task] = metric
            note(self.scores[task], self.step, validation.get(metric))

    def curves(self) -> Curves:
        names = dict.fromkeys([*self.validation, *self.train])  # in the order of the run's tasks, which evaluations keep
        tasks = [self._task(name) for name in names if not name.startswith(GUARD)]
        guards = {name.removeprefix(GUARD): series(self.train[name]) for name in names if name.startswith(GUARD)}
        return Curves(tuple(tasks), guards, series(self.norms), tuple(sorted(self.epochs)))

    def _task(self, name: str) -> TaskCurves:
        train, validation, scores = (series(one[name]) for one in (self.train, self.validation, self.scores))
        return TaskCurves(name, train, validation, self.metrics.get(name, ""), scores)


def note(values: dict[int, float], step: int, value: float | None) -> None:
    """Keeps what is a number and finite."""
    if value is not None and isfinite(value):
        values[step] = float(value)


def series(values: Mapping[int, float]) -> Series:
    steps = sorted(values)
    return Series(tuple(steps), tuple(values[step] for step in steps))
