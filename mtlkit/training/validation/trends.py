"""What the losses of all epochs say at the end of a training: still falling, or overfitted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from mtlkit.training.validation.small_data import Overfitted, StillLearning

FALLS = 0.98  # of the loss of the epoch before: less is a change that more epochs continue
LEAST = 0.01  # fall of a validation loss: below, there is little left to learn
RISES = 1.05  # of the lowest validation loss
LATER = 2  # epochs with a higher validation loss than the lowest one


class EpochLosses(NamedTuple):
    """A task at the end of an epoch: its losses on training and validation rows, and its score on the latter."""

    train: float
    validation: float
    score: float | None


class LossTrends:
    """The losses of each task by epoch, of epochs in which it trained."""

    def __init__(self, epochs: Mapping[str, Sequence[Sequence[Any]]] | None = None) -> None:
        self.epochs = {name: [EpochLosses(*values) for values in rows] for name, rows in (epochs or {}).items()}

    def add(self, task: str, losses: EpochLosses) -> None:
        self.epochs.setdefault(task, []).append(losses)

    def events(self, epochs: int, lengthened: int = 0) -> Iterator[StillLearning | Overfitted]:
        """What to say after a training that had `epochs` epochs: nothing of tasks that left it earlier. `lengthened` is the total
        number of steps if epochs have several passes.
        """
        for task, rows in self.epochs.items():
            if len(rows) == epochs and epochs > 1 and (event := _trend(task, rows, lengthened)):
                yield event


def _trend(task: str, rows: Sequence[EpochLosses], lengthened: int) -> StillLearning | Overfitted | None:
    before, last = rows[-2:]
    epoch = min(range(len(rows)), key=lambda index: rows[index].validation)
    low, later = rows[epoch], len(rows) - 1 - epoch
    fell = last.train < FALLS * before.train and last.validation < FALLS * before.validation
    if not later and fell and before.validation - last.validation > LEAST:
        return StillLearning(task, len(rows), (before.validation, last.validation), lengthened)
    rose = later >= LATER and last.validation > RISES * low.validation
    if rose and last.train < low.train and (last.score or 0.0) <= (low.score or 0.0):
        return Overfitted(task, epoch + 1, len(rows), (low.validation, last.validation))
    return None
