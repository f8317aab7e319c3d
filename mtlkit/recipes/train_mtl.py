"""`mtlkit train-mtl`: trains a head for each task on one backbone."""

from __future__ import annotations

from collections.abc import Iterator

from mtlkit.config.commands.train_mtl import TrainMtlOptions
from mtlkit.recipes.training.planning.plan import CommandSpec
from mtlkit.recipes.training.run import train_tasks
from mtlkit.training.events import Event, Finished, result

SPEC = CommandSpec("train-mtl", "mtl", "mtl", ("sentence", "base"), "mtlkit eval --confusion")


def train_mtl(options: TrainMtlOptions) -> Finished:
    """Trains the heads of several tasks, and the backbone unless it is frozen, and writes the run.

    Raises UsageError, DataError, IntegrityError, DivergedError.
    """
    return result(stream(options))


def stream(options: TrainMtlOptions) -> Iterator[Event]:
    """Like `train_mtl`, but yields events."""
    return train_tasks(options, SPEC)
