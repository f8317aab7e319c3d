"""The events that a training command yields, as typed data. `report/` turns them into text."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mtlkit.config.architecture import TaskSpec
from mtlkit.evaluation.forgetting import ForgettingReport
from mtlkit.evaluation.metric_names import all_metrics
from mtlkit.evaluation.run_scores import scores_of
from mtlkit.evaluation.sharing import SharingReport
from mtlkit.inference.scope.scope import Scope
from mtlkit.notebook import summary_html
from mtlkit.training.diagnostics.gradient_stats import TrackingSummary
from mtlkit.training.incidents import Incident, StepSkipped

BEFORE_FINISH = "before_finish"  # in the metrics of a base: those of the phase before the last one
GUARD = "guard:"  # prefix of a guard's name among losses; no task has a colon in its name


@dataclass(frozen=True)
class Note:
    """A message for the user. A `warning` needs attention; a `detail` is shown only with `--verbose`."""

    text: str
    warning: bool = False
    detail: bool = False


@dataclass(frozen=True)
class Part:
    """A part of the model: the number of parameters, and how many of them are trainable.

    For a frozen part, `before` and `after` are its SHA-256 before and after training, and `changed` names tensors that changed
    although they are frozen. If parts differ in them, `rate` is the peak learning rate and `since` when the part starts training,
    such as "epoch 2".
    """

    name: str
    parameters: int
    trainable: int
    before: str | None = None
    after: str | None = None
    rate: float | None = None
    since: str = ""
    changed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Parts:
    """The parts of the model: before training, or after it (`final`), when frozen parts have an `after` digest."""

    parts: tuple[Part, ...]
    final: bool = False


@dataclass(frozen=True)
class Progress:
    """One training step: its losses by task, and other figures by name: "learning rate", "gradient norm" (before clipping)
    and, in pretraining, "perplexity". `seconds` and `tokens` are totals since the start of the training, including the time
    before a resume.
    """

    step: int
    steps: int
    epoch: int
    epochs: int
    seconds: float
    tokens: int
    losses: dict[str, float]
    figures: dict[str, float]


@dataclass(frozen=True)
class TaskState:
    """A task at an evaluation: its validation metrics, and its training since the epoch began.

    `batches` of `planned` batches are done, with `texts` texts; `repeats` is how often each row was seen on average. A `watched`
    task is evaluated but not trained, although it has batches if it is rehearsed. `untaught` texts contributed no gradient, such
    as pairs without a negative in their batch.
    """

    task: str
    kind: str
    train_loss: float | None
    validation: dict[str, Any]
    batches: int
    planned: int
    watched: bool
    texts: int = 0
    repeats: float = 0.0
    untaught: int = 0


@dataclass(frozen=True)
class Epoch:
    """An evaluation of all tasks, at the end of an epoch (0: before training) or within it. `epochs` is 0 where heads were
    solved, which takes no epochs.

    `best`: the score is the highest so far, or with `keeps_last`, as a score on few rows chooses nothing, the evaluation is the
    last. `place` describes where within the epoch the evaluation is; empty at its end. `weights` are the tasks' loss weights if
    they change during training. `step` is the number of steps so far.
    """

    epoch: int
    epochs: int
    tasks: tuple[TaskState, ...]
    score: float | None
    best: bool
    place: str = ""
    weights: Mapping[str, float] = field(default_factory=dict)
    step: int = 0
    keeps_last: bool = False


@dataclass(frozen=True)
class BestOfTask:
    """The best evaluation of a task: its main metric, epoch and step. If they were kept, `weights` are the trained weights at
    that step, by name; `specs` and `scopes` are those of the heads with these weights, by task.
    """

    task: str
    score: float | None
    epoch: int
    step: int
    weights: Mapping[str, Any] | None = field(default=None, compare=False, repr=False)
    specs: Mapping[str, TaskSpec] = field(default_factory=dict, compare=False, repr=False)
    scopes: Mapping[str, Scope] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True)
class Chosen:
    """The evaluation whose weights are in the trained model, and the best evaluation of each task."""

    epoch: Epoch
    bests: tuple[BestOfTask, ...] = ()


@dataclass(frozen=True)
class Tracking:
    """The gradient measurements of an epoch."""

    summary: TrackingSummary


@dataclass(frozen=True)
class Forgetting:
    """How the scores of the starting model's tasks changed."""

    report: ForgettingReport


@dataclass(frozen=True)
class Sharing:
    """Multi-task training compared with training each task alone."""

    report: SharingReport


@dataclass(frozen=True)
class BaselineEvent:
    """An event of a training that the run is compared with: `baseline` is its name, such as "topic alone, seed 0"."""

    baseline: str
    event: Progress | StepSkipped | Note


@dataclass(frozen=True)
class Finished:
    """The last event: the folder of the run, its metrics, the duration in seconds, and the command to type next."""

    run: Path
    metrics: dict[str, Any]
    seconds: float
    next_command: str = ""
    details: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        lines = [f"{name}: {title} {value}" for name, title, value, *_ in self._rows()]
        return "\n  ".join([f"<Finished {self.run}, {self.seconds:,.0f} s>", *lines])

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        epoch, rows = self.metrics.get("best_epoch"), self._rows()
        facts = {"seconds": f"{self.seconds:,.0f}", **({"kept": f"epoch {epoch}"} if epoch else {}), "next": self.next_command}
        columns = ["task", "metric", "validation (95 %)", "test (95 %)"]
        shown = [place for place in range(4) if place < 3 or any(row[place] != "-" for row in rows)]
        return summary_html(
            str(self.run), facts, [columns[place] for place in shown], [[row[place] for place in shown] for row in rows]
        )

    def _rows(self) -> list[list[str]]:
        """Task, metric, validation and test score, with intervals."""
        return [
            [score.task, all_metrics()[score.metric].title, score.written(score.validation), score.written(score.test)]
            for score in scores_of(self.metrics)
        ]


Event = Note | Parts | Progress | Epoch | Chosen | Tracking | Forgetting | BaselineEvent | Sharing | Finished | Incident


def result(events: Iterable[Event]) -> Finished:
    """Runs a recipe to its end, ignoring all events but the last."""
    (last,) = deque(events, maxlen=1)
    assert isinstance(last, Finished)
    return last
