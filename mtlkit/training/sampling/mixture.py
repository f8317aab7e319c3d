"""Selects the task and the rows of each step.

A micro-batch maps each of its tasks to rows. Each task has its own stream of batches, which reshuffles at its end and
continues; the position in a stream is a single number, its cursor. Tasks that are label columns of one table share a stream, of
rows of the table, and their turns: they are one unit of the schedule.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from itertools import islice
from typing import Protocol

import numpy as np

from mtlkit.config.registries.schedules import EpochLength, ScheduleChoice, check_epoch_length, parse_epoch_length, parse_schedule
from mtlkit.data.batching import BatchSampler, Rows
from mtlkit.training.sampling.columns import ColumnUnit
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
    """Builds one sampler per task, or per unit of tasks.

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

    `plans` are the samplers by task or, for those of `units`, by unit. `shares` are those of tasks that are only rehearsed: their
    batches per batch of a trained task (on average, if tasks are sampled), but at least one per epoch. Raises UsageError if an
    epoch is too short for one batch of each task.
    """

    plans: Mapping[str, Sampler]
    schedule: ScheduleChoice | str = "round-robin"
    shares: Mapping[str, Fraction] = field(default_factory=dict)
    epoch_by: EpochLength | str = "longest"
    units: Mapping[str, ColumnUnit] = field(default_factory=dict)

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
        """The tasks or units of each micro-batch, by epoch."""
        passes = {name: len(plan.epoch(0)) for name, plan in self.plans.items()}
        rows = {name: len(plan.lengths) for name, plan in self.plans.items()}
        first = {name: self.tasks_of(name)[0] for name in self.plans}  # the shares of a unit's tasks are equal
        shares = {name: self.shares[task] for name, task in first.items() if task in self.shares}
        seed = next(iter(self.plans.values())).seed
        return make_order(self.choice, OrderContext(passes, rows, shares, self.length, seed))

    def tasks_of(self, name: str) -> tuple[str, ...]:
        """The tasks of a unit, or the task of this name."""
        return self.units[name].tasks if name in self.units else (name,)

    def without(self, name: str, gone: Collection[str]) -> str:
        """What is left of a task or unit when some tasks are gone; empty if nothing is."""
        return "+".join(task for task in self.tasks_of(name) if task not in gone)

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
        """Batches of each task in an epoch (the first is 0), including those without a label of its column."""
        order = self.order(epoch) if epoch else self._first
        return Counter(task for names in order for name in names for task in self.tasks_of(name))

    @property
    def batches(self) -> Counter[str]:
        """Batches of each task in the first epoch."""
        return self.planned(0)

    def work(self, epochs: int, start: int = 0, order: BatchOrder | None = None) -> Iterator[MicroBatch]:
        """The micro-batches of `epochs` epochs, without the first `start`. `order`, called for each epoch, replaces its own."""
        pieces = (names for epoch in range(epochs) for names in (order or self.order)(epoch))
        cursors = Counter(name for names in islice(pieces, start) for name in names)
        streams: dict[str, tuple[TaskSampler, ColumnUnit | None]] = {}
        for names in pieces:
            piece: MicroBatch = {}
            for name in names:
                if name not in streams:
                    streams[name] = TaskSampler(self._plan(name), cursors[name]), self._unit(name)
                stream, unit = streams[name]
                piece |= {name: stream.next()} if unit is None else unit.expand(stream.next())
            yield piece

    def _unit(self, name: str) -> ColumnUnit | None:
        """The unit of this name, perhaps with fewer tasks than it had at first; None for a task with a sampler of its own."""
        if name in self.units or name in self.plans:
            return self.units.get(name)
        tasks = name.split("+")
        return next(unit for unit in self.units.values() if tasks[0] in unit.tasks).only(tasks)

    def _plan(self, name: str) -> Sampler:
        """The sampler of a task or unit. One that has lost tasks draws from the rows of the others only."""
        if (unit := self._unit(name)) is None or name in self.plans:
            return self.plans[name]
        whole = next(plan for own, plan in self.plans.items() if unit.tasks[0] in self.tasks_of(own))
        assert isinstance(whole, BatchSampler)
        return BatchSampler(unit.lengths, whole.budget, whole.seed, name)

    def coverage(self) -> Coverage:
        """Empty row counters for the tasks."""
        rows = {name: len(plan.lengths) for name, plan in self.plans.items() if name not in self.units}
        columns = {task: len(unit.shared.index[task]) for unit in self.units.values() for task in unit.tasks}
        return Coverage(rows | columns)
