"""Tasks take turns: one batch of each in successive steps, or of all of them in every step."""

from __future__ import annotations

from bisect import bisect_right
from fractions import Fraction
from functools import cached_property, partial
from itertools import count, islice
from math import floor

from mtlkit.config.registries.schedules import SCHEDULES
from mtlkit.training.sampling.orders import Order, OrderContext
from mtlkit.training.sampling.schedules.base import Schedule


class RoundRobin:
    """A round contains one batch of each task: in successive steps (`round-robin`), or all in one step (`joint`).

    A rehearsed task takes part in its share of the rounds, evenly spaced, and in at least one per epoch. With a fixed number of
    steps, an epoch may end within a round: the next epoch continues with the next turn, so that no task gets fewer batches.
    """

    def __init__(self, context: OrderContext, *, joint: bool) -> None:
        self.context, self.joint = context, joint
        self.turns = context.length.name == "steps" and not joint

    @cached_property
    def rounds(self) -> int:
        """Rounds per epoch; full rounds only, if an epoch ends within a round."""
        length = self.context.length
        if length.name == "steps":
            return length.micro_batches if self.joint else max(1, length.micro_batches // len(self.context.passes))
        return int(self.context.until(self.context.passes))

    @cached_property
    def parts(self) -> dict[str, Fraction | int]:
        """The share of rounds that include each task."""
        shares = {name: max(share, Fraction(1, self.rounds)) for name, share in self.context.shares.items()}
        return {name: shares.get(name, 1) for name in self.context.passes}

    def round(self, number: int) -> tuple[str, ...]:
        return tuple(name for name, part in self.parts.items() if floor((number + 1) * part) > floor(number * part))

    def __call__(self, epoch: int) -> Order:
        if self.turns:
            return self._turns(epoch * self.context.length.micro_batches)
        return self._whole

    @cached_property
    def _whole(self) -> Order:
        """An epoch of full rounds, always the same."""
        rounds = tuple(self.round(number) for number in range(self.rounds))
        return rounds if self.joint else tuple((name,) for names in rounds for name in names)

    def _turns(self, first: int) -> Order:
        """An epoch that starts at turn `first` of the training."""
        start = bisect_right(range(first + 1), first, key=self._turns_before) - 1
        turns = ((name,) for number in count(start) for name in self.round(number))
        skipped = first - self._turns_before(start)
        return tuple(islice(turns, skipped, skipped + self.context.length.micro_batches))

    def _turns_before(self, number: int) -> int:
        return sum(floor(number * part) for part in self.parts.values())


SCHEDULES.add(Schedule(name="round-robin", help="tasks take turns.", rank=0, make=partial(RoundRobin, joint=False)))
SCHEDULES.add(
    Schedule(name="joint", help="a batch of every task per step.", rank=1, make=partial(RoundRobin, joint=True), joint=True)
)
