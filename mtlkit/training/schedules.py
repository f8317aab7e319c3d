"""Which task trains on which rows at each step.

A piece of work maps each task of the step to its rows. Every task has a stream of its own, which reshuffles when it runs out
and goes on; where a stream stands is one number, its cursor.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Budget:
    """How an epoch is spent: `rounds` batches of every task, `steps` optimiser steps."""

    rounds: int
    steps: int


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


def spend(plans: Mapping[str, Plan], schedule: Schedule) -> Budget:
    """An epoch lasts until the task with the most batches has been seen once."""
    rounds = max(len(plan.epoch(0)) for plan in plans.values())
    return Budget(rounds, rounds * (len(plans) if schedule == "round-robin" else 1))


def work(plans: Mapping[str, Plan], schedule: Schedule, rounds: int) -> Iterator[Piece]:
    """`round-robin`: a batch of A, a batch of B, ... `joint`: every step holds a batch of every task."""
    streams = {name: Stream(plan) for name, plan in plans.items()}
    for _ in range(rounds):
        if schedule == "joint":
            yield {name: stream.next() for name, stream in streams.items()}
        else:
            for name, stream in streams.items():
                yield {name: stream.next()}
