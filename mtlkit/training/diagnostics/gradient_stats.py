"""Results of gradient tracking, for one step and for an epoch. Plain numbers, no torch; non-finite values are None."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import exp, isfinite, log, sqrt
from typing import Any

WHOLE = "backbone"  # all shared weights together, in addition to their parts


@dataclass(frozen=True)
class GradientAgreement:
    """Compares the gradients a and b of two tasks with respect to the same weights: their cosine; their magnitude similarity
    2|a||b| / (|a|^2 + |b|^2), 1 for equal norms (Yu et al. 2020, "Gradient surgery for multi-task learning"); the ratio |a| /
    |b|.
    """

    cosine: float
    magnitude_similarity: float
    ratio: float

    @classmethod
    def of(cls, product: float, first: float, second: float) -> GradientAgreement | None:
        """Computed from a.b, |a|^2 and |b|^2; None if a gradient is zero or not finite."""
        lengths = sqrt(first) * sqrt(second) if min(first, second) > 0 else 0.0
        if not lengths or not isfinite(product) or not isfinite(first + second):
            return None
        cosine = max(-1.0, min(1.0, product / lengths))
        return cls(cosine, 2 * lengths / (first + second), sqrt(first) / sqrt(second))


@dataclass(frozen=True)
class TrackedPair:
    """Two tasks at one step, by part of the backbone and for all of it (`backbone`)."""

    tasks: tuple[str, str]
    parts: Mapping[str, GradientAgreement | None]


@dataclass(frozen=True)
class TrackedStep:
    """norms: |g| of each part before clipping; None without a gradient (it is frozen, or a head that the step did not use).
    ratios: |w_after - w_before| / |w_before| of its trainable weights.
    """

    norms: Mapping[str, float | None]
    ratios: Mapping[str, float | None]
    pairs: tuple[TrackedPair, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> TrackedStep:
        pairs = (
            TrackedPair(tuple(pair["tasks"]), {part: one and GradientAgreement(**one) for part, one in pair["parts"].items()})
            for pair in found["pairs"]
        )
        return cls(found["norms"], found["ratios"], tuple(pairs))


@dataclass(frozen=True)
class TaskConflict:
    """A pair of tasks in one part over an epoch: means of cosine and magnitude similarity, the share of `steps` with a negative
    cosine, the geometric mean of |a| / |b|.
    """

    steps: int
    cosine: float
    share: float
    magnitude_similarity: float
    ratio: float


@dataclass(frozen=True)
class PairSummary:
    """Two tasks over an epoch; None for a part without gradients of both."""

    tasks: tuple[str, str]
    parts: Mapping[str, TaskConflict | None]

    @property
    def whole(self) -> TaskConflict | None:
        return self.parts[WHOLE]

    @property
    def worst(self) -> str | None:
        """The part with the most conflicting steps, on ties the lowest cosine; None if there is only one shared part."""
        shared = {part: found for part, found in self.parts.items() if found and part != WHOLE}
        if len(shared) < 2:
            return None
        return min(shared, key=lambda part: (-shared[part].share, shared[part].cosine))


@dataclass(frozen=True)
class TrackingSummary:
    """The tracked steps of an epoch: their number, mean norms and ratios of each part (None if there are none), pairs of tasks.
    `seconds` is the time spent on tracking, `total` that of all steps including tracking.
    """

    steps: int
    norms: Mapping[str, float | None]
    ratios: Mapping[str, float | None]
    pairs: tuple[PairSummary, ...]
    seconds: float
    total: float

    @property
    def cost(self) -> float:
        """The share of the time spent on tracking."""
        return self.seconds / self.total if self.total else 0.0

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"cost": self.cost}


def summarise(steps: Sequence[TrackedStep], seconds: float, total: float) -> TrackingSummary:
    """Summarises the tracked steps of an epoch; needs at least one."""
    pairs = {pair.tasks: None for step in steps for pair in step.pairs}
    return TrackingSummary(
        len(steps),
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
