"""Detects spikes, losses or gradient norms far above their recent values, before the step is taken."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

REMEMBERED = 100  # recent steps that a step is compared with
LEAST = 20  # steps before the first detection
DEVIATIONS = 6.0
SPREAD = 1.4826  # standard deviation divided by median absolute deviation, for a normal distribution
FLAT = 0.05  # minimum deviation relative to the median, so that a nearly constant loss has no spikes


@dataclass(frozen=True)
class Spike:
    """A `figure` of a step, "loss" or "gradient norm", whose `value` is above the `limit`. `median` is that of recent steps."""

    figure: str
    value: float
    median: float
    limit: float

    def __str__(self) -> str:
        return f"{self.figure} {self.value:.4g} is a spike (median {self.median:.4g}, limit {self.limit:.4g})"


class LossSpikes:
    """Detects losses and gradient norms far above those of recent steps.

    A value is a spike if it is more than DEVIATIONS standard deviations above the median of the last REMEMBERED steps with the
    same tasks. The standard deviation is estimated by SPREAD times the median absolute deviation (Hampel 1974), which is robust
    to spikes. Spikes are remembered, too: if a value stays high, like the gradient norm after more of the model has started to
    train, it soon stops being a spike.
    """

    def __init__(self) -> None:
        self.history: dict[tuple[str, str], deque[float]] = {}

    def detect(self, losses: Mapping[str, float], norm: float) -> Spike | None:
        """The spike in a step with these losses and this gradient norm, or None. Does not remember the step."""
        for (key, figure), value in _figures(losses, norm).items():
            before = self.history.get((key, figure), ())
            if len(before) >= LEAST and value > (limit := highest(before)):
                return Spike(figure, value, median(before), limit)
        return None

    def add(self, losses: Mapping[str, float], norm: float) -> None:
        """Remembers a step, whether it is taken or skipped."""
        for key, value in _figures(losses, norm).items():
            self.history.setdefault(key, deque(maxlen=REMEMBERED)).append(value)

    def state_dict(self) -> list[Any]:
        """Plain JSON."""
        return [[key, figure, list(values)] for (key, figure), values in self.history.items()]

    def load_state_dict(self, state: Iterable[Any]) -> None:
        self.history = {(key, figure): deque(values, maxlen=REMEMBERED) for key, figure, values in state}


def _figures(losses: Mapping[str, float], norm: float) -> dict[tuple[str, str], float]:
    """The figures of a step, each with a key of the names of its losses and its own name."""
    key = ",".join(sorted(losses))
    return {(key, "loss"): sum(losses.values()), (key, "gradient norm"): norm}


def highest(values: Iterable[float]) -> float:
    """The limit above which a value is a spike, given recent values."""
    values = list(values)
    middle = median(values)
    deviation = SPREAD * median(abs(value - middle) for value in values)
    return middle + DEVIATIONS * max(deviation, FLAT * abs(middle))
