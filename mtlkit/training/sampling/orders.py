"""The order of tasks within an epoch. An order is a pure function of seed and epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from mtlkit.config.registries.schedules import EpochLength, ScheduleChoice

# the tasks of each micro-batch of an epoch; a micro-batch is an optimizer step unless several are accumulated
Order = tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class OrderContext:
    """The inputs of an order: batches per pass and rows of each task, in round-robin order; the shares of rehearsed tasks; the
    length of an epoch.
    """

    passes: Mapping[str, int]
    rows: Mapping[str, int]
    shares: Mapping[str, Fraction]
    length: EpochLength
    seed: int

    @property
    def trained(self) -> list[str]:
        return [name for name in self.passes if name not in self.shares]

    def until(self, passes: Mapping[str, Fraction | int]) -> Fraction | int:
        """The maximum over the trained tasks, or the minimum if the epoch length is `shortest`."""
        choose = min if self.length.name == "shortest" else max
        return choose(passes[name] for name in self.trained)


class BatchOrder(Protocol):
    """One class per kind of schedule; they are in `schedules/`."""

    def __call__(self, epoch: int) -> Order: ...


def make_order(choice: ScheduleChoice, context: OrderContext) -> BatchOrder:
    """Builds the order of a schedule."""
    order: BatchOrder = choice.definition.make(context, *choice.parameters)
    return order
