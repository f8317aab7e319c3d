"""Assigns micro-batches to optimizer steps and epochs. Tasks may leave the mixture during training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from math import ceil
from typing import TypeVar

from mtlkit.training.incidents import EpochPlanned
from mtlkit.training.sampling.mixture import MicroBatch, TaskMixture
from mtlkit.training.sampling.orders import Order
from mtlkit.training.state_dict import StateDict

Work = TypeVar("Work")


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


class StepSchedule:
    """The steps of `epochs` epochs of a mixture, with `accumulate` micro-batches each.

    `left` maps tasks that have left the mixture to the first epoch (from 0) without their batches. Their turns are dropped, so
    epochs become shorter, unless another task shares them. Values for future epochs are valid unless another task leaves. `share`
    is the part of the last epoch that is trained.
    """

    def __init__(
        self, mix: TaskMixture, epochs: int, accumulate: int, *, left: Mapping[str, int] | None = None, share: float = 1.0
    ) -> None:
        self.mix, self.epochs, self.accumulate, self.share = mix, epochs, accumulate, share
        self.left: dict[str, int] = dict(left or {})
        self._whole = mix.steps
        self._pieces: dict[tuple[int, frozenset[str]], int] = {}

    def gone(self, epoch: int) -> frozenset[str]:
        """The tasks that have left the mixture by an epoch."""
        return frozenset(name for name, since in self.left.items() if epoch >= since)

    def order(self, epoch: int) -> Order:
        """The tasks or units of each micro-batch of an epoch."""
        order = self.mix.order(epoch)
        if not (gone := self.gone(epoch)):
            return order
        remaining = (tuple(filter(None, (self.mix.without(name, gone) for name in names))) for names in order)
        return tuple(names for names in remaining if names)

    def planned(self, epoch: int) -> Counter[str]:
        """Batches of each task in an epoch."""
        gone = self.gone(epoch)
        turns = (name for names in self.mix.order(epoch) for name in names)
        return Counter(task for name in turns for task in self.mix.tasks_of(name) if task not in gone)

    def sizes(self, epoch: int) -> list[int]:
        """Micro-batches of each step of an epoch."""
        return group_sizes(self.pieces(epoch), self.accumulate)

    def pieces(self, epoch: int) -> int:
        """The number of micro-batches of an epoch. Cached, as it is needed in every step."""
        gone = frozenset(self.gone(epoch))
        if not gone:
            return self._whole
        if (epoch, gone) not in self._pieces:
            self._pieces[epoch, gone] = len(self.order(epoch))
        return self._pieces[epoch, gone]

    def length(self, epoch: int) -> int:
        """Steps of an epoch."""
        return ceil(self.pieces(epoch) / self.accumulate)

    @property
    def full(self) -> int:
        """Steps of an epoch with all tasks."""
        return ceil(self._whole / self.accumulate)

    @property
    def steps(self) -> int:
        """Steps of the whole training."""
        last = self.epochs - 1
        return self.begin(last) + self._share_of(self.length(last))

    def _share_of(self, steps: int) -> int:
        """Steps of the last epoch that are trained."""
        return steps if self.share == 1.0 else max(1, round(self.share * steps))

    def begin(self, epoch: int) -> int:
        """The step at which an epoch begins (both start at 0)."""
        whole = min([epoch, *self.left.values()])
        return whole * self.full + sum(self.length(later) for later in range(whole, epoch))

    def locate(self, step: int) -> tuple[int, int]:
        """The epoch of a step and the step's index within it (all start at 0)."""
        epoch = min([step // self.full, *self.left.values()])
        index = step - epoch * self.full
        while (length := self.length(epoch)) and index >= length:  # 0 if no task remains
            epoch, index = epoch + 1, index - length
        return epoch, index

    def position(self, step: int) -> float:
        """The position of a step on a scale on which all epochs have full length; the learning rate depends on it."""
        if not self.left:
            return step
        epoch, index = self.locate(step)
        return (epoch + index / self.length(epoch)) * self.full

    def work(self, start: int = 0) -> Iterator[MicroBatch]:
        """The micro-batches from step `start` on."""
        epoch, index = self.locate(start)
        first = sum(self.pieces(earlier) for earlier in range(epoch)) + sum(self.sizes(epoch)[:index])
        return self.mix.work(self.epochs, first, self.order)

    def micro_batches(self, start: int = 0) -> Iterator[tuple[MicroBatch, ...]]:
        """The micro-batches of each step from `start` on. Batches are built lazily."""
        return groups(self.work(start), self.takes(start))

    def plan_of_epoch(self) -> EpochPlanned:
        """The event that describes the first epoch."""
        batches, plans = Counter(name for names in self.mix.order(0) for name in names), self.mix.plans
        passes = {name: batches[name] / len(plan.epoch(0)) for name, plan in plans.items()}
        return EpochPlanned(self.full, {name: batches[name] for name in plans}, passes)

    def state_dict(self) -> StateDict:
        return StateDict(plain={"left": self.left, "epoch_steps": self.full})

    def load_state_dict(self, state: StateDict) -> None:
        self.left = dict(state.plain["left"])

    def takes(self, start: int = 0) -> Iterator[int]:
        """The number of micro-batches of each step from `start` on."""
        first, index = self.locate(start)
        for epoch in range(first, self.epochs):
            sizes = self.sizes(epoch)
            end = self._share_of(len(sizes)) if epoch == self.epochs - 1 else len(sizes)
            yield from sizes[index if epoch == first else 0 : end]
