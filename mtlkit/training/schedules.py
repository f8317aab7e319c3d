"""Which task trains on which rows at each step.

A piece of work maps each task of the step to its rows. Every task has a stream of its own, which reshuffles when it runs out
and goes on; where a stream stands is one number, its cursor.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from math import floor

import numpy as np

from mtlkit.config.training import Schedule
from mtlkit.data.batching import Plan, Rows

Piece = dict[str, Rows]


class Stream:
    """The batches of one task, epoch after epoch. `cursor` counts those handed out."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.cursor = 0
        self._epoch = 0
        self._place = 0
        self._batches = plan.epoch(0)

    def next(self) -> Rows:
        if self._place == len(self._batches):
            self._epoch, self._place = self._epoch + 1, 0
            self._batches = self.plan.epoch(self._epoch)
        rows = self._batches[self._place]
        self._place += 1
        self.cursor += 1
        return rows


def make_plans(
    lengths: Mapping[str, np.ndarray[tuple[int], np.dtype[np.int64]]], batch_tokens: int, seed: int
) -> dict[str, Plan]:
    """A plan a task. The task with the longest texts gets the whole budget of tokens, the others so much of it that a
    batch holds as many texts: otherwise short texts would be seen several times as often."""
    means = {name: float(values.mean()) for name, values in lengths.items()}
    longest = max(means.values())
    return {
        name: Plan(values, max(1, round(batch_tokens * means[name] / longest)), seed, name) for name, values in lengths.items()
    }


@dataclass(frozen=True)
class Mix:
    """How the batches of the tasks follow each other.

    An epoch is made of rounds, as many as the task with the most batches has. `shares` are of tasks that are only rehearsed:
    the part of the rounds, spread evenly, in which they give a batch; one of each epoch at least.
    """

    plans: Mapping[str, Plan]
    schedule: Schedule
    shares: Mapping[str, Fraction] = field(default_factory=dict)

    @cached_property
    def rounds(self) -> int:
        """Those of an epoch: until the task with the most batches has been seen once."""
        return max(len(plan.epoch(0)) for name, plan in self.plans.items() if name not in self.shares)

    @cached_property
    def order(self) -> tuple[tuple[str, ...], ...]:
        """The tasks of each step of an epoch. `round-robin`: a batch of A, a batch of B, ... `joint`: every step holds a batch
        of every task."""
        rounds = [tuple(name for name in self.plans if self._takes_part(name, place)) for place in range(self.rounds)]
        return tuple(rounds) if self.schedule == "joint" else tuple((name,) for names in rounds for name in names)

    def _takes_part(self, name: str, place: int) -> bool:
        share = max(self.shares.get(name, Fraction(1)), Fraction(1, self.rounds))
        return floor((place + 1) * share) > floor(place * share)

    @property
    def steps(self) -> int:
        """Optimiser steps of an epoch."""
        return len(self.order)

    @cached_property
    def batches(self) -> Counter[str]:
        """How many batches each task gives in an epoch."""
        return Counter(name for names in self.order for name in names)

    def work(self, epochs: int) -> Iterator[Piece]:
        """The pieces of so many epochs."""
        streams = {name: Stream(plan) for name, plan in self.plans.items()}
        for _ in range(epochs):
            for names in self.order:
                yield {name: streams[name].next() for name in names}
