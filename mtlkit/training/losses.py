"""The losses of a micro-batch by name, and their means over the micro-batches of a step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Generic, TypeVar

import torch
from torch import Tensor

from mtlkit.training.events import GUARD

Work = TypeVar("Work")
Value = TypeVar("Value")
Number = TypeVar("Number", float, "float | Tensor")
NamesOf = Callable[[Work], Iterable[str]]


class Losses(dict[str, Tensor]):
    """One loss per task and per guard (`guard:NAME`). `vectors` are the vectors of each task's texts, (N, D), from which its loss
    is computed.
    """

    def __init__(self, losses: Mapping[str, Tensor], vectors: Mapping[str, Tensor]) -> None:
        super().__init__(losses)
        self.vectors = vectors


def is_guard(name: str) -> bool:
    """Whether a loss belongs to a guard. No balancing method weights the losses of guards."""
    return name.startswith(GUARD)


def of_tasks(losses: Mapping[str, Value]) -> dict[str, Value]:
    """The losses without those of guards."""
    return {name: loss for name, loss in losses.items() if not is_guard(name)}


class LossShares(Generic[Work]):
    """Weights that turn the losses of micro-batches into means over a step.

    `names_of` gives the tasks of a micro-batch. The mean of a task's loss is over the micro-batches with that task; the mean of a
    guard's loss, and of every loss if `names_of` is None, is over all micro-batches. The loss of a task that is `gathered` is one
    for all micro-batches of a round, which `ranks` processes compute at the same time.
    """

    def __init__(
        self, pieces: Sequence[Work], names_of: NamesOf[Work] | None, gathered: Collection[str] = (), ranks: int = 1
    ) -> None:
        self.pieces = len(pieces)
        self.counts: Counter[str] | None = None
        if names_of is not None:
            self.counts = Counter(name for piece in pieces for name in names_of(piece) if name not in gathered)
            for first in range(0, len(pieces) if gathered else 0, ranks):
                together = {name for piece in pieces[first : first + ranks] for name in names_of(piece)}
                self.counts.update(together.intersection(gathered))

    def of(self, names: Iterable[str]) -> dict[str, float]:
        """The weight of each loss of a micro-batch: one half for a task in two micro-batches."""
        return {name: 1 / (self.pieces if self.counts is None or is_guard(name) else self.counts[name]) for name in names}


def mean_of(mappings: Sequence[Mapping[str, Number]]) -> dict[str, Number]:
    """The mean of each name over the mappings that contain it."""
    counts = Counter(name for values in mappings for name in values)
    return {name: sum(values[name] for values in mappings if name in values) / count for name, count in counts.items()}


def numbers(mappings: Sequence[Mapping[str, float | Tensor]]) -> list[dict[str, float]]:
    """Converts all values to floats, with a single GPU synchronisation."""
    tensors = [value.detach() for values in mappings for value in values.values() if isinstance(value, Tensor)]
    floats = iter(torch.stack(tensors).tolist() if tensors else [])
    return [{name: next(floats) if isinstance(value, Tensor) else value for name, value in values.items()} for values in mappings]
