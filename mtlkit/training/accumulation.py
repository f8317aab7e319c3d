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
    """The fractions that a micro-batch's losses contribute to the losses of a step. A task's loss is averaged over the
    micro-batches that contain it according to `names_of`, a guard's over all; so is every loss if `names_of` is None.
    """

    def __init__(self, pieces: Sequence[Work], names_of: NamesOf[Work] | None) -> None:
        self.pieces = len(pieces)
        self.counts = None if names_of is None else Counter(name for piece in pieces for name in names_of(piece))

    def of(self, names: Iterable[str]) -> dict[str, float]:
        return {name: 1 / (self.pieces if self.counts is None or is_guard(name) else self.counts[name]) for name in names}


def mean_of(each: Sequence[Mapping[str, Value]]) -> dict[str, Value]:
    """The mean of each name over the mappings that contain it."""
    counts = Counter(name for one in each for name in one)
    return {name: sum(one[name] for one in each if name in one) / count for name, count in counts.items()}


def numbers(each: Sequence[Mapping[str, float | Tensor]]) -> list[dict[str, float]]:
    """Converts all values to floats, with a single GPU synchronisation."""
    waiting = [value.detach() for one in each for value in one.values() if isinstance(value, Tensor)]
    ready = iter(torch.stack(waiting).tolist() if waiting else [])
    return [{name: next(ready) if isinstance(value, Tensor) else value for name, value in one.items()} for one in each]
