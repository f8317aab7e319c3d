"""Selects the task and the rows of each step.

A micro-batch maps each of its tasks to rows. Each task has its own stream of batches, which reshuffles at its end and
continues; the position in a stream is a single number, its cursor.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from itertools import islice
from typing import Protocol

import numpy as np

from mtlkit.config.registries.schedules import EpochLength, ScheduleChoice, check_epoch_length, parse_epoch_length, parse_schedule
from mtlkit.data.batching import BatchSampler, Rows
from mtlkit.training.sampling.coverage import Coverage
from mtlkit.training.sampling.orders import BatchOrder, Order, OrderContext, make_order

MicroBatch = dict[str, Rows]


def to_lists(pieces: Mapping[str, MicroBatch]) -> dict[str, dict[str, list[int]]]:
    """Converts named micro-batches to plain JSON."""
    return {key: {name: rows.tolist() for name, rows in piece.items()} for key, piece in pieces.items()}


def from_lists(pieces: Mapping[str, Mapping[str, list[int]]]) -> dict[str, MicroBatch]:
    return {key: {name: np.array(rows, np.int64) for name, rows in piece.items()} for key, piece in pieces.items()}


class Sampler(Protocol):
    """The batches of a data set for each epoch. `lengths` are the numbers of tokens of its rows, (N,)."""

    @property
    def lengths(self) -> Rows: ...

    @property
    def seed(self) -> int: ...

    def epoch(self, epoch: int) -> list[Rows]:
        """The batches of an epoch, as a pure function of its number; every epoch has at least one."""
        ...


class TaskSampler:
    """The batches of one task over all epochs, starting at batch number `cursor`, which counts those already returned."""

    def __init__(self, plan: Sampler, cursor: int = 0) -> None:
        self.plan = plan
        self.cursor = self._place = cursor
        self._epoch = 0
        self._batches = plan.epoch(0)
        while self._place > len(self._batches):
            self._place -= len(self._batches)
            self._epoch += 1
            self._batches = plan.epoch(self._epoch)

    def next(self) -> Rows:
        if self._place == len(self._batches):
            self._epoch, self._place = self._epoch + 1, 0
            self._batches = self.plan.epoch(self._epoch)
        rows = self._batches[self._place]
        self._place += 1
        self.cursor += 1
        return rows


def make_samplers(
    lengths: Mapping[str, np.ndarray[tuple[int], np.dtype[np.int64]]],
    batch_tokens: int,
    seed: int,
    classes: Mapping[str, Rows] | None = None,
    texts: Mapping[str, Rows] | None = None,
    most: int = 0,
) -> dict[str, BatchSampler]:
    """Builds one sampler per task.

    The task with the longest texts gets the full token budget; the budgets of the others are reduced to give batches of the same
    number of texts, as short texts would otherwise be seen several times as often. Tasks in `classes`, which gives the class of
    each row, sample all classes equally often. For pairs, `texts`, (2, N), gives the text numbers of each row.
    A batch has at most `most` rows of a task (0: no limit).
    """
    means = {name: float(values.mean()) for name, values in lengths.items()}
    longest = max(means.values())
    budgets = {name: max(1, round(batch_tokens * mean / longest)) for name, mean in means.items()}
    return {
        name: BatchSampler(values, budgets[name], seed, name, (classes or {}).get(name), (texts or {}).get(name), most)
        for name, values in lengths.items()
    }


@dataclass(frozen=True)
class TaskMixture:
    """Interleaves the batches of the tasks, as a pure function of samplers, schedule and epoch.

    `shares` are those of tasks that are only rehearsed: their batches per batch of a trained task (on average, if tasks are
    sampled), but at least one per epoch. Raises UsageError if an epoch is too short for one batch of each task.
    """

    plans: Mapping[str, Sampler]
    schedule: ScheduleChoice | str = "round-robin"
    shares: Mapping[str, Fraction] = field(default_factory=dict)
    epoch_by: EpochLength | str = "longest"

    def __post_init__(self) -> None:
        check_epoch_length(self.choice, self.length, len(self.plans))

    @property
    def choice(self) -> ScheduleChoice:
        return parse_schedule(self.schedule) if isinstance(self.schedule, str) else self.schedule

    @property
    def length(self) -> EpochLength:
        return parse_epoch_length(self.epoch_by) if isinstance(self.epoch_by, str) else self.epoch_by

    @cached_property
    def order(self) -> BatchOrder:
        """The tasks of each micro-batch, by epoch."""
        passes = {name: len(plan.epoch(0)) for name, plan in self.plans.items()}
        rows = {name: len(plan.lengths) for name, plan in self.plans.items()}
        seed = next(iter(self.plans.values())).seed
        return make_order(self.choice, OrderContext(passes, rows, self.shares, self.length, seed))

    @cached_property
    def _first(self) -> Order:
        return self.order(0)

    @property
    def steps(self) -> int:
        """Micro-batches per epoch, the same for every epoch: equal to optimizer steps unless gradients are accumulated."""
        return len(self._first)

    @property
    def rounds(self) -> int:
        """Batches of the task with the most in the first epoch; for round-robin schedules, the number of rounds."""
        return max(self.batches.values())

    def planned(self, epoch: int) -> Counter[str]:
        """Batches of each task in an epoch (the first is 0)."""
        return Counter(name for names in (self.order(epoch) if epoch else self._first) for name in names)

    @property
    def batches(self) -> Counter[str]:
        """Batches of each task in the first epoch."""
        return self.planned(0)

    def work(self, epochs: int, start: int = 0, order: BatchOrder | None = None) -> Iterator[MicroBatch]:
        """The micro-batches of `epochs` epochs, without the first `start`. `order` replaces the mixture's own order; it is called
        at the start of each epoch.
        """
        pieces = (names for epoch in range(epochs) for names in (order or self.order)(epoch))
        cursors = Counter(name for names in islice(pieces, start) for name in names)
        streams = {name: TaskSampler(plan, cursors[name]) for name, plan in self.plans.items()}
        for names in pieces:
            yield {name: streams[name].next() for name in names}

    def coverage(self) -> Coverage:
        """Empty row counters for the tasks."""
        return Coverage({name: len(plan.lengths) for name, plan in self.plans.items()})
