"""Events about few rows and few steps, and about what the losses say at the end. `report/training_messages` has the messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class FewValidationRows:
    """Tasks with too few validation `rows` for their scores to choose an epoch. It is chosen `by` the other tasks, or is the last
    one if there are none.
    """

    rows: Mapping[str, int]
    by: tuple[str, ...]


@dataclass(frozen=True)
class NotMeasured:
    """The `names` of tasks without validation rows, at the end of a training: they have no score, calibration or scope.
    `keeps_last`: nothing chose an epoch, so the last one is kept.
    """

    names: tuple[str, ...]
    keeps_last: bool = True


@dataclass(frozen=True)
class EpochsLengthened:
    """`epochs` epochs would be only `planned` steps, so each has `passes` times as many batches: `steps` steps in total."""

    epochs: int
    planned: int
    passes: int
    steps: int


@dataclass(frozen=True)
class StillLearning:
    """The training and the validation loss of a task were still falling in the last of `epochs` epochs; the latter from the first
    to the second of `validation_losses`. `steps` is the total number of steps if epochs have several passes, else 0.
    """

    task: str
    epochs: int
    validation_losses: tuple[float, float]
    steps: int = 0


@dataclass(frozen=True)
class Overfitted:
    """The validation loss of a task rose after `epoch` while its training loss fell and its score did not improve.
    `validation_losses` are those of that epoch and of the `last` one.
    """

    task: str
    epoch: int
    last: int
    validation_losses: tuple[float, float]


SmallData = FewValidationRows | NotMeasured | EpochsLengthened | StillLearning | Overfitted
