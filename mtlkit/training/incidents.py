"""Events that are shown as a message or logged, as plain data. `report/training_messages` has the messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mtlkit.training.head_incidents import CalibrationFitted, HeadSolved, RowsJudged, ScopeFitted, ScoreInterval, WordsCompared
from mtlkit.training.spikes import Spike
from mtlkit.training.validation.small_data import SmallData

StopReason = Literal["patience", "no task left", "nothing to train"]


@dataclass(frozen=True)
class EpochPlanned:
    """The plan of an epoch with several tasks: its steps, and for each task the number of batches and of passes over its rows."""

    steps: int
    batches: Mapping[str, int]
    passes: Mapping[str, float]


@dataclass(frozen=True)
class FeaturesCached:
    """The outputs of frozen layers, of the whole backbone or of the lowest `depth` layers, were computed once for `texts` texts.

    They take `size` bytes. `folder` contains what does not fit in memory (None: all does; `partly`: some does); the outputs for
    `reused` texts were already there.
    """

    texts: int
    size: int
    depth: int | None = None
    folder: str | None = None
    partly: bool = False
    reused: int = 0


@dataclass(frozen=True)
class RouterDropped:
    """The starting model's router was removed because it distinguishes other tasks; `replaced`: a new one will be trained."""

    old: tuple[str, ...]
    new: tuple[str, ...]
    replaced: bool


@dataclass(frozen=True)
class RouterTrained:
    """The router's accuracy on the validation texts of each task that has any."""

    accuracy: Mapping[str, float]


@dataclass(frozen=True)
class StepSkipped:
    """A step was skipped because it was a spike, or (`spike` is None) its gradient was not finite. `total` counts skipped
    steps.
    """

    step: int
    spike: Spike | None
    total: int


@dataclass(frozen=True)
class FreezeChanged:
    """Parts that start training or are frozen from step `step` on."""

    step: int
    thawed: tuple[str, ...]
    frozen: tuple[str, ...]


@dataclass(frozen=True)
class Refitted:
    """The model was trained again from the start, for `steps` steps to the chosen epoch, on all `rows` of each task; `given_back`
    of them had been held out for validation."""

    rows: Mapping[str, int]
    given_back: Mapping[str, int]
    epoch: int
    steps: int


@dataclass(frozen=True)
class TaskStopped:
    """A task stopped training after `epoch`; its best score was in `best_epoch`."""

    task: str
    epoch: int
    score: float | None
    best_epoch: int


@dataclass(frozen=True)
class TrainingStopped:
    """The training stopped early; for the reason "patience", after `epochs` epochs without a better score."""

    reason: StopReason
    epochs: int = 0


@dataclass(frozen=True)
class LimitExceeded:
    """A task scored `points` below the starting model, more than `allowed`. The weights of step `kept` are kept (0: the initial
    ones). A point is 0.01 of the task's main metric.
    """

    task: str
    points: float
    allowed: float
    kept: int = 0


@dataclass(frozen=True)
class TaskCoverage:
    """How much of a task was trained on: `texts` texts from `rows` rows, of which `unseen` were in no batch; `untaught` texts
    contributed no gradient.
    """

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
    """Coverage of each task's rows over the whole training."""

    tasks: Mapping[str, TaskCoverage]


@dataclass(frozen=True)
class PhaseEnded:
    """The first phase of a pretraining has ended, with these metrics on held-out texts; `steps` of the last one follow."""

    ended: str
    follows: str
    steps: int
    metrics: Mapping[str, Any]


Incident = (
    EpochPlanned
    | FeaturesCached
    | RouterDropped
    | RouterTrained
    | PhaseEnded
    | StepSkipped
    | SmallData
    | FreezeChanged
    | HeadSolved
    | RowsJudged
    | ScoreInterval
    | WordsCompared
    | Refitted
    | TaskStopped
    | TrainingStopped
    | LimitExceeded
    | CalibrationFitted
    | ScopeFitted
    | RowsSeen
)
