"""Running means and learned scalars, by name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass
class RunningMeans:
    """Means of numbers by name."""

    sums: dict[str, float]
    counts: dict[str, int]

    def __init__(self, sums: Mapping[str, float] | None = None, counts: Mapping[str, int] | None = None) -> None:
        self.sums, self.counts = dict(sums or {}), dict(counts or {})

    def add(self, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
            self.counts[name] = self.counts.get(name, 0) + 1

    def of_each(self) -> dict[str, float]:
        return {name: total / self.counts[name] for name, total in self.sums.items()}


@dataclass
class AdamScalar:
    """A scalar learned by Adam (Kingma & Ba 2015)."""

    value: float = 0.0
    first: float = 0.0
    second: float = 0.0
    steps: int = 0

    def move(self, gradient: float, rate: float) -> None:
        self.steps += 1
        self.first = 0.9 * self.first + 0.1 * gradient
        self.second = 0.999 * self.second + 0.001 * gradient**2
        first, second = self.first / (1 - 0.9**self.steps), self.second / (1 - 0.999**self.steps)
        self.value -= rate * first / (math.sqrt(second) + 1e-8)


def softmax(values: Mapping[str, float]) -> dict[str, float]:
    highest = max(values.values(), default=0.0)
    raised = {name: math.exp(value - highest) for name, value in values.items()}
    total = sum(raised.values())
    return {name: value / total for name, value in raised.items()}
