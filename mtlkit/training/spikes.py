"""Tells a loss or a gradient that jumped far above what it used to be, before it has done any harm."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from statistics import median
from typing import Any

from mtlkit.training.events import Note

REMEMBERED = 100  # steps that what is usual is worked out from
LEAST = 20  # of them before anything is called a spike
DEVIATIONS = 6.0
SPREAD = 1.4826  # of a normal distribution: its standard deviation over its median absolute deviation
FLAT = 0.05  # of the median, which the deviation is taken to be at least: a loss that hardly moves has no spikes


class LossSpikes:
    """A figure is a spike when it lies more than DEVIATIONS robust standard deviations above the median of the last REMEMBERED
    steps with the same losses (tasks differ in theirs). A deviation is SPREAD times the median absolute deviation from the
    median (Hampel 1974), which spikes themselves hardly move. They are remembered all the same: where a figure stays high, as
    that of a gradient does once more of the model trains, it is usual before long, and training goes on."""

    def __init__(self) -> None:
        self.history: dict[tuple[str, str], deque[float]] = {}

    def found(self, losses: Mapping[str, float], norm: float) -> str:
        """What of a step is a spike, in words; nothing where nothing is."""
        for (key, figure), value in _figures(losses, norm).items():
            before = self.history.get((key, figure), ())
            if len(before) >= LEAST and value > (bound := highest(before)):
                return f"its {figure} is {value:.4g}, a spike: usual is {median(before):.4g}, and a spike begins at {bound:.4g}"
        return ""

    def add(self, losses: Mapping[str, float], norm: float) -> None:
        """Remembers a step, taken or skipped."""
        for key, value in _figures(losses, norm).items():
            self.history.setdefault(key, deque(maxlen=REMEMBERED)).append(value)

    def state(self) -> list[Any]:
        """Plain JSON."""
        return [[key, figure, list(values)] for (key, figure), values in self.history.items()]

    def load(self, state: Iterable[Any]) -> None:
        self.history = {(key, figure): deque(values, maxlen=REMEMBERED) for key, figure, values in state}


def _figures(losses: Mapping[str, float], norm: float) -> dict[tuple[str, str], float]:
    """What is looked at, by the step's losses and its own name."""
    key = ",".join(sorted(losses))
    return {(key, "loss"): sum(losses.values()), (key, "gradient norm"): norm}


def skipped(step: int, spike: str, count: int) -> Note:
    """Says of a step why it was not taken, and how many were not so far."""
    so_far = f"; {count:,} steps were skipped so far" if count > 1 else ""
    return Note(f"step {step} was skipped: {spike or 'its gradient was not finite'}{so_far}", warning=True)


def highest(values: Iterable[float]) -> float:
    """The largest figure that is still usual beside these."""
    values = list(values)
    middle = median(values)
    deviation = SPREAD * median(abs(value - middle) for value in values)
    return middle + DEVIATIONS * max(deviation, FLAT * abs(middle))
