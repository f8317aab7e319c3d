"""One task after another."""

from __future__ import annotations

from mtlkit.config.registries.schedules import SCHEDULES
from mtlkit.training.sampling.orders import Order, OrderContext
from mtlkit.training.sampling.schedules.base import Schedule
from mtlkit.training.sampling.schedules.round_robin import RoundRobin


class Sequential:
    """The batches of round-robin, but all of one task before the next. Nothing else differs, which allows comparisons."""

    def __init__(self, context: OrderContext) -> None:
        self.turns, self.names = RoundRobin(context, joint=False), list(context.passes)

    def __call__(self, epoch: int) -> Order:
        return tuple(sorted(self.turns(epoch), key=lambda names: self.names.index(names[0])))


SCHEDULES.add(Schedule(name="sequential", help="one task after another.", rank=2, make=Sequential))
