"""What gradient tracking found: at one step, and over an epoch. Plain numbers, free of torch; what is not finite is None."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import exp, isfinite, log, sqrt
from statistics import median
from typing import Any

WHOLE = "backbone"  # all shared weights together, beside the parts they lie in

# A spike is a gradient 10 times as long as the median of the tracked ones before it, and longer than 10 besides: of it, clipping
# to norm 1, the usual bound, throws away nine tenths. Small gradients late in a training may well jump tenfold and harm nothing.
SPIKE, LONG = 10.0, 10.0
REMEMBERED = 100  # tracked steps that the median is taken of


@dataclass(frozen=True)
class GradientAgreement:
    """Of the gradients a and b of two tasks with respect to the same weights: their cosine; their magnitude similarity
    2|a||b| / (|a|^2 + |b|^2), 1 where both are as long (Yu et al. 2020, "Gradient surgery for multi-task learning"); the ratio
    |a| / |b|."""

    cosine: float
    magnitude_similarity: float
    ratio: float

    @classmethod
    def of(cls, product: float, first: float, second: float) -> GradientAgreement | None:
        """From a.b, |a|^2 and |b|^2; None where a gradient is zero or not finite."""
        lengths = sqrt(first) * sqrt(second) if min(first, second) > 0 else 0.0
        if not lengths or not isfinite(product) or not isfinite(first + second):
            return None
        cosine = max(-1.0, min(1.0, product / lengths))
        return cls(cosine, 2 * lengths / (first + second), sqrt(first) / sqrt(second))


@dataclass(frozen=True)
class TrackedPair:
    """Two tasks at one step, by part of the backbone and over all of it (`backbone`)."""

    tasks: tuple[str, str]
    parts: Mapping[str, GradientAgreement | None]


@dataclass(frozen=True)
class TrackedStep:
    """norms: |g| of each part before clipping; None where it has no gradient (it is frozen, or a head that the step didn't
    use). ratios: |w_after - w_before| / |w_before| of its weights that train. `spike`: the gradient is not finite, or far longer
    than it used to be (SPIKE)."""

    norms: Mapping[str, float | None]
    ratios: Mapping[str, float | None]
    pairs: tuple[TrackedPair, ...]
    spike: bool

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> TrackedStep:
        pairs = (
            TrackedPair(tuple(pair["tasks"]), {part: one and GradientAgreement(**one) for part, one in pair["parts"].items()})
            for pair in found["pairs"]
        )
        return cls(found["norms"], found["ratios"], tuple(pairs), found["spike"])


@dataclass(frozen=True)
class TaskConflict:
    """A pair of tasks in one part over an epoch: means of cosine and magnitude similarity, the share of `steps` in which the
    cosine was below 0, the geometric mean of |a| / |b|."""

    steps: int
    cosine: float
    share: float
    magnitude_similarity: float
    ratio: float


@dataclass(frozen=True)
class PairSummary:
    """Two tasks over an epoch; None for a part where their gradients never met."""

    tasks: tuple[str, str]
    parts: Mapping[str, TaskConflict | None]

    @property
    def whole(self) -> TaskConflict | None:
        return self.parts[WHOLE]

    @property
    def worst(self) -> str | None:
        """The part with most steps in conflict, of equals that with the lower cosine; None where only one is shared."""
        shared = {part: found for part, found in self.parts.items() if found and part != WHOLE}
        if len(shared) < 2:
            return None
        return min(shared, key=lambda part: (-shared[part].share, shared[part].cosine))


@dataclass(frozen=True)
class TrackingSummary:
    """The tracked steps of an epoch: how many, how many of them had a spike, means of the norms and ratios of each part (None
    where there was none), pairs of tasks. `seconds` went into tracking, `total` into all steps, tracking included."""

    steps: int
    spikes: int
    norms: Mapping[str, float | None]
    ratios: Mapping[str, float | None]
    pairs: tuple[PairSummary, ...]
    seconds: float
    total: float

    @property
    def cost(self) -> float:
        """The share of the time that tracking took."""
        return self.seconds / self.total if self.total else 0.0

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"cost": self.cost}


def summarise(steps: Sequence[TrackedStep], seconds: float, total: float) -> TrackingSummary:
    """Over the tracked steps of an epoch, one at least."""
    pairs = {pair.tasks: None for step in steps for pair in step.pairs}
    return TrackingSummary(
        len(steps),
        sum(step.spike for step in steps),
        {part: _mean(step.norms[part] for step in steps) for part in steps[0].norms},
        {part: _mean(step.ratios[part] for step in steps) for part in steps[0].ratios},
        tuple(_pair(tasks, steps) for tasks in pairs),
        seconds,
        total,
    )


def _pair(tasks: tuple[str, str], steps: Sequence[TrackedStep]) -> PairSummary:
    found = [pair.parts for step in steps for pair in step.pairs if pair.tasks == tasks]
    parts = {part: None for each in found for part in each}
    return PairSummary(tasks, {part: _conflict([each[part] for each in found if part in each]) for part in parts})


def _conflict(met: Sequence[GradientAgreement | None]) -> TaskConflict | None:
    there = [one for one in met if one]
    if not there:
        return None
    count = len(there)
    return TaskConflict(
        count,
        sum(one.cosine for one in there) / count,
        sum(one.cosine < 0 for one in there) / count,
        sum(one.magnitude_similarity for one in there) / count,
        exp(sum(log(one.ratio) for one in there) / count),
    )


def _mean(values: Iterable[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return sum(there) / len(there) if there else None


class Spikes:
    """Tells gradients that are far longer than those before them, of steps with the same losses: tasks differ in theirs."""

    def __init__(self) -> None:
        self.history: dict[tuple[str, ...], deque[float]] = {}

    def add(self, losses: tuple[str, ...], norms: Iterable[float]) -> bool:
        """Takes the norms of the parts of a gradient; whether it is a spike."""
        before = self.history.setdefault(losses, deque(maxlen=REMEMBERED))
        length = sqrt(sum(norm * norm for norm in norms))
        if not isfinite(length):
            return True
        found = bool(before) and length > max(LONG, SPIKE * median(before))
        before.append(length)
        return found

    def state_dict(self) -> list[Any]:
        """Plain JSON, all that `load_state_dict` needs."""
        return [[list(losses), list(lengths)] for losses, lengths in self.history.items()]

    def load_state_dict(self, state: Iterable[Any]) -> None:
        self.history = {tuple(losses): deque(lengths, maxlen=REMEMBERED) for losses, lengths in state}
