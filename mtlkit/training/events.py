"""What a training recipe tells while it works. A view, a logger or a notebook reads these; nothing else is printed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mtlkit.evaluation.forgetting import ForgettingReport
from mtlkit.evaluation.sharing import SharingReport
from mtlkit.training.diagnostics.gradient_stats import TrackingSummary

GUARD = "guard:"  # in front of the name of a guard among losses; no task has a colon in its name


@dataclass(frozen=True)
class Note:
    """A sentence for the user. A warning needs attention; a detail is shown with `--verbose` only."""

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
    """A part of the model: its parameters, how many of them train, and its SHA-256 before and after (frozen parts). Where parts
    differ in that: the peak of its learning rate, and since when it trains (`epoch 2`). `changed` are tensors that should not
    have."""

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
    """The model before training, or after it when `after` digests are there."""

    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Progress:
    """One training step: its losses by task, and other figures by name. `seconds` and `tokens` count from the start of the
    training, what was done before a resume included."""

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
    """A task at the end of an epoch, or within one: batches, texts, and how often each row was seen on average, since the epoch
    began. A watched task is evaluated, not trained; one that is rehearsed has batches all the same. `untaught` of its texts
    taught nothing, as pairs in a batch without a negative."""

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
    """All tasks after an epoch (0: before training); `best` when its score is the highest so far. `place` names the point in an
    epoch where it was evaluated; `weights` are those of the tasks' losses, where they change; `step` counts steps so far."""

    epoch: int
    epochs: int
    tasks: tuple[TaskState, ...]
    score: float | None
    best: bool
    place: str = ""
    weights: Mapping[str, float] = field(default_factory=dict)
    step: int = 0


@dataclass(frozen=True)
class Chosen:
    """The evaluation whose weights stay."""

    epoch: Epoch


@dataclass(frozen=True)
class BestOfTask:
    """When a task was at its best, the metric that counts for it then, and the weights of that moment (those that train, by name)
    where they were to be kept."""

    task: str
    score: float | None
    epoch: int
    step: int
    weights: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Tracking:
    """What looks at the gradients of an epoch found."""

    summary: TrackingSummary


@dataclass(frozen=True)
class Forgetting:
    """What became of the tasks that the start knew."""

    report: ForgettingReport


@dataclass(frozen=True)
class Sharing:
    """What training tasks together brought, held against each of them alone."""

    report: SharingReport


@dataclass(frozen=True)
class Finished:
    """The last event: where the run is and what came out of it."""

    run: Path
    metrics: dict[str, Any]
    seconds: float
    next_command: str = ""
    details: dict[str, Any] = field(default_factory=dict)


Event = Note | Working | Parts | Progress | Epoch | Chosen | BestOfTask | Tracking | Forgetting | Sharing | Finished


def result(events: Iterable[Event]) -> Finished:
    """Runs a recipe to its end, in silence."""
    (last,) = deque(events, maxlen=1)
    assert isinstance(last, Finished)
    return last
