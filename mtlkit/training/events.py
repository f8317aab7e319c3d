"""Events of a training recipe, as typed data. A view, a logger or a notebook reads them; `report/` makes sentences of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mtlkit.evaluation.forgetting import ForgettingReport
from mtlkit.evaluation.sharing import SharingReport
from mtlkit.training.diagnostics.gradient_stats import TrackingSummary
from mtlkit.training.incidents import Incident, StepSkipped

GUARD = "guard:"  # prefix of a guard's name among losses; no task has a colon in its name


@dataclass(frozen=True)
class Note:
    """A sentence for the user, written by a recipe. A warning needs attention; a detail is shown with `--verbose` only."""

    text: str
    warning: bool = False
    detail: bool = False


@dataclass(frozen=True)
class Working:
    """A phase without training steps that may take long, and how far it is where that is known: `done` of `total` units."""

    activity: str
    done: int = 0
    total: int | None = None
    unit: str = "texts"


@dataclass(frozen=True)
class Part:
    """A part of the model: its parameters, how many of them train, and for frozen parts its SHA-256 before and after training.
    Where parts differ in it: the peak learning rate, and since when the part trains ("epoch 2"). `changed` names tensors that
    should not have changed."""

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
    """The model before training, or after it where `after` digests are given."""

    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Progress:
    """One training step: its losses by task, and other figures by name: "learning rate", "gradient norm" (before clipping), and
    "perplexity" in pretraining. `seconds` and `tokens` count from the start of the training, including before a resume."""

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
    """A task at the end of an epoch, or within one: batches, texts, and how often each row was seen on average since the epoch
    began. A watched task is evaluated, not trained; a rehearsed one has batches all the same. `untaught` texts taught nothing,
    such as pairs in a batch without a negative."""

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
    """All tasks after an epoch (0: before training); `best` when its score is the highest so far. `place` names the point within
    an epoch where it was evaluated; `weights` are the tasks' loss weights, where they change; `step` counts steps so far."""

    epoch: int
    epochs: int
    tasks: tuple[TaskState, ...]
    score: float | None
    best: bool
    place: str = ""
    weights: Mapping[str, float] = field(default_factory=dict)
    step: int = 0


@dataclass(frozen=True)
class BestOfTask:
    """When a task scored best, its main metric then, and the weights of that moment (those that train, by name) if kept."""

    task: str
    score: float | None
    epoch: int
    step: int
    weights: Mapping[str, Any] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Chosen:
    """The evaluation whose weights the model keeps, and the best evaluation of each task."""

    epoch: Epoch
    bests: tuple[BestOfTask, ...] = ()


@dataclass(frozen=True)
class Tracking:
    """What gradient tracking measured in an epoch."""

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
    """The last event: where the run is, and its metrics."""

    run: Path
    metrics: dict[str, Any]
    seconds: float
    next_command: str = ""
    details: dict[str, Any] = field(default_factory=dict)


Event = Note | Working | Parts | Progress | Epoch | Chosen | Tracking | Forgetting | BaselineEvent | Sharing | Finished | Incident


def result(events: Iterable[Event]) -> Finished:
    """Runs a recipe to its end, in silence."""
    (last,) = deque(events, maxlen=1)
    assert isinstance(last, Finished)
    return last
