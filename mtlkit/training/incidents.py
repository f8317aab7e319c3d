"""Events that become a sentence on the screen and a record in the log, as plain data; `report/training_messages` words them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from mtlkit.training.spikes import Spike

StopReason = Literal["patience", "no task left", "nothing to train"]


@dataclass(frozen=True)
class EpochPlanned:
    """What an epoch of several tasks holds: steps, batches of each task, and passes over its rows."""

    steps: int
    batches: Mapping[str, int]
    passes: Mapping[str, float]


@dataclass(frozen=True)
class FeaturesCached:
    """Outputs of frozen layers were computed once for `texts`: those of the whole backbone, or below block `depth`. `size` is in
    bytes; `folder` holds what does not fit in memory (`partly`: some of it does); `reused` texts were there already."""

    texts: int
    size: int
    depth: int | None = None
    folder: str | None = None
    partly: bool = False
    reused: int = 0


@dataclass(frozen=True)
class RouterDropped:
    """The starting model's router knows other tasks than this training has; `replaced`: a new one takes its place."""

    old: tuple[str, ...]
    new: tuple[str, ...]
    replaced: bool


@dataclass(frozen=True)
class RouterTrained:
    """The share of validation texts of each task that the router recognises."""

    accuracy: Mapping[str, float]


@dataclass(frozen=True)
class StepSkipped:
    """A step was not taken: its gradient was not finite, or it was a spike. `total` counts skipped steps so far."""

    step: int
    spike: Spike | None
    total: int


@dataclass(frozen=True)
class FreezeChanged:
    """From step `step` on, these parts train or are frozen."""

    step: int
    thawed: tuple[str, ...]
    frozen: tuple[str, ...]


@dataclass(frozen=True)
class TaskStopped:
    """A task leaves the mix after `epoch`: its best score was in `best_epoch`."""

    task: str
    epoch: int
    score: float | None
    best_epoch: int


@dataclass(frozen=True)
class TrainingStopped:
    """The training ends early, after `epochs` epochs without a better score where the reason is patience."""

    reason: StopReason
    epochs: int = 0


@dataclass(frozen=True)
class LimitExceeded:
    """A task fell by more `points` than `allowed` below the starting model; the weights of step `kept` stay (0: the start's)."""

    task: str
    points: float
    allowed: float
    kept: int = 0


@dataclass(frozen=True)
class TaskCoverage:
    """How much of a task was trained on: `texts` from `rows` rows, of which `unseen` were in no batch."""

    texts: int
    rows: int
    unseen: int
    untaught: int

    @property
    def repeats(self) -> float:
        """How often each row was seen on average."""
        return self.texts / self.rows


@dataclass(frozen=True)
class RowsSeen:
    """The rows that the whole training saw, by task."""

    tasks: Mapping[str, TaskCoverage]


Incident = (
    EpochPlanned
    | FeaturesCached
    | RouterDropped
    | RouterTrained
    | StepSkipped
    | FreezeChanged
    | TaskStopped
    | TrainingStopped
    | LimitExceeded
    | RowsSeen
)
