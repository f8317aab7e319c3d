"""`mtlkit train-sentence`: turns a base, or random weights, into a sentence encoder by training it on one task."""

from __future__ import annotations

from collections.abc import Iterator

from mtlkit.config.commands.train_sentence import TrainSentenceOptions
from mtlkit.recipes.training.planning.plan import CommandSpec
from mtlkit.recipes.training.run import train_tasks
from mtlkit.training.events import Event, Finished, result

SPEC = CommandSpec("train-sentence", "sentence", "sentence", ("base",), "mtlkit train-mtl")


def train_sentence(options: TrainSentenceOptions) -> Finished:
    """Trains a sentence encoder and writes the run.

    Raises UsageError, DataError, IntegrityError, DivergedError.
    """
    return result(stream(options))


def stream(options: TrainSentenceOptions) -> Iterator[Event]:
    """Like `train_sentence`, but yields events."""
    return train_tasks(options, SPEC)
