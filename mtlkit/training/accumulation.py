"""Gradient accumulation: groups micro-batches into steps, and weights their losses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Generic, TypeVar

import torch
from torch import Tensor

from mtlkit.training.losses import is_guard

Work = TypeVar("Work")
Value = TypeVar("Value", float, "float | Tensor")
NamesOf = Callable[[Work], Iterable[str]]


def group_sizes(pieces: int, accumulate: int) -> list[int]:
    """Micro-batches of each step of an epoch. The last step may have fewer: no step spans two epochs."""
    return [min(accumulate, pieces - first) for first in range(0, pieces, accumulate)]


def groups(work: Iterable[Work], takes: Iterable[int]) -> Iterator[tuple[Work, ...]]:
    """The micro-batches of each step, until `work` is exhausted. Each is requested only when its step starts."""
    pieces = iter(work)
    for size in takes:
        if not (group := tuple(islice(pieces, size))):
            return
        yield group


class LossShares(Generic[Work]):
    """Weights that turn the losses of micro-batches into means over a step.

    `names_of` gives the tasks of a micro-batch. The mean of a task's loss is over the micro-batches with that task; the mean of a
    guard's loss, and of every loss if `names_of` is None, is over all micro-batches.
    """

    def __init__(self, pieces: Sequence[Work], names_of: NamesOf[Work] | None) -> None:
        self.pieces = len(pieces)
        self.counts = None if names_of is None else Counter(name for piece in pieces for name in names_of(piece))

    def of(self, names: Iterable[str]) -> dict[str, float]:
        """The weight of each loss of a micro-batch: one half for a task in two micro-batches."""
        return {name: 1 / (self.pieces if self.counts is None or is_guard(name) else self.counts[name]) for name in names}


def mean_of(mappings: Sequence[Mapping[str, Value]]) -> dict[str, Value]:
    """The mean of each name over the mappings that contain it."""
    counts = Counter(name for values in mappings for name in values)
    return {name: sum(values[name] for values in mappings if name in values) / count for name, count in counts.items()}


def numbers(mappings: Sequence[Mapping[str, float | Tensor]]) -> list[dict[str, float]]:
    """Converts all values to floats, with a single GPU synchronisation."""
    tensors = [value.detach() for values in mappings for value in values.values() if isinstance(value, Tensor)]
    floats = iter(torch.stack(tensors).tolist() if tensors else [])
    return [{name: next(floats) if isinstance(value, Tensor) else value for name, value in values.items()} for values in mappings]
