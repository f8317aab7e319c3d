"""Spike detection: losses and gradients that jump far above their recent values, found before the step is taken."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

REMEMBERED = 100  # steps that define what is usual
LEAST = 20  # of them before anything is called a spike
DEVIATIONS = 6.0
SPREAD = 1.4826  # of a normal distribution: its standard deviation over its median absolute deviation
FLAT = 0.05  # smallest deviation, as a share of the median: a loss that hardly moves has no spikes


@dataclass(frozen=True)
class Spike:
    """A `figure` of a step ("loss", "gradient norm") with a `value` above the `limit`; the `median` of recent steps."""

    figure: str
    value: float
    median: float
    limit: float

    def __str__(self) -> str:
        return f"{self.figure} {self.value:.4g} is a spike (median {self.median:.4g}, limit {self.limit:.4g})"


class LossSpikes:
    """Detects losses and gradient norms far above those of recent steps.

    A figure is a spike when it lies more than DEVIATIONS robust standard deviations above the median of the last REMEMBERED steps
    with the same losses (tasks differ in theirs). A deviation is SPREAD times the median absolute deviation (Hampel 1974), which
    spikes themselves hardly move. Spikes are remembered, too: where a figure stays high, as a gradient norm does once more of the
    model trains, it soon counts as usual and training continues."""

    def __init__(self) -> None:
        self.history: dict[tuple[str, str], deque[float]] = {}

    def found(self, losses: Mapping[str, float], norm: float) -> Spike | None:
        """The first figure of a step that is a spike."""
        for (key, figure), value in _figures(losses, norm).items():
            before = self.history.get((key, figure), ())
            if len(before) >= LEAST and value > (limit := highest(before)):
                return Spike(figure, value, median(before), limit)
        return None

    def add(self, losses: Mapping[str, float], norm: float) -> None:
        """Remembers a step, taken or skipped."""
        for key, value in _figures(losses, norm).items():
            self.history.setdefault(key, deque(maxlen=REMEMBERED)).append(value)

    def state_dict(self) -> list[Any]:
        """Plain JSON."""
        return [[key, figure, list(values)] for (key, figure), values in self.history.items()]

    def load_state_dict(self, state: Iterable[Any]) -> None:
        self.history = {(key, figure): deque(values, maxlen=REMEMBERED) for key, figure, values in state}


def _figures(losses: Mapping[str, float], norm: float) -> dict[tuple[str, str], float]:
    """The figures of a step, by the names of its losses and their own."""
    key = ",".join(sorted(losses))
    return {(key, "loss"): sum(losses.values()), (key, "gradient norm"): norm}


def highest(values: Iterable[float]) -> float:
    """The largest value that is still usual beside these."""
    values = list(values)
    middle = median(values)
    deviation = SPREAD * median(abs(value - middle) for value in values)
    return middle + DEVIATIONS * max(deviation, FLAT * abs(middle))
