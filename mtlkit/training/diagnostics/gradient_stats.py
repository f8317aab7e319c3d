"""Results of gradient tracking, of a step and of an epoch: plain numbers, with None for what is not finite. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import exp, isfinite, log, sqrt
from typing import Any

WHOLE = "backbone"  # all shared weights together, in addition to their parts


@dataclass(frozen=True)
class GradientAgreement:
    """Agreement of two tasks' gradients a and b with respect to the same weights: cosine, magnitude similarity 2|a||b| / (|a|^2 +
    |b|^2), which is 1 for equal norms (Yu et al. 2020, "Gradient surgery for multi-task learning"), and ratio |a| / |b|.
    """

    cosine: float
    magnitude_similarity: float
    ratio: float

    @classmethod
    def of(cls, product: float, first: float, second: float) -> GradientAgreement | None:
        """The agreement for a.b = `product`, |a|^2 = `first` and |b|^2 = `second`; None if a gradient is zero or not finite."""
        lengths = sqrt(first) * sqrt(second) if min(first, second) > 0 else 0.0
        if not lengths or not isfinite(product) or not isfinite(first + second):
            return None
        cosine = max(-1.0, min(1.0, product / lengths))
        return cls(cosine, 2 * lengths / (first + second), sqrt(first) / sqrt(second))


@dataclass(frozen=True)
class TrackedPair:
    """The agreement of two tasks at one step, by part of the backbone and for the whole `backbone`."""

    tasks: tuple[str, str]
    parts: Mapping[str, GradientAgreement | None]


@dataclass(frozen=True)
class TrackedStep:
    """The measurements of one step, by part of the model.

    `norms` are gradient norms |g| before clipping; None if the part has no gradient, because it is frozen or a head that the step
    did not use. `ratios` are |w_after - w_before| / |w_before| of the trainable weights.
    """

    norms: Mapping[str, float | None]
    ratios: Mapping[str, float | None]
    pairs: tuple[TrackedPair, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> TrackedStep:
        pairs = (
            TrackedPair(
                tuple(pair["tasks"]),
                {part: agreement and GradientAgreement(**agreement) for part, agreement in pair["parts"].items()},
            )
            for pair in value["pairs"]
        )
        return cls(value["norms"], value["ratios"], tuple(pairs))


@dataclass(frozen=True)
class TaskConflict:
    """The agreement of two tasks in one part, over the tracked `steps` of an epoch: means of cosine and magnitude similarity, the
    share of steps with a negative cosine, and the geometric mean of the ratio |a| / |b|.
    """

    steps: int
    cosine: float
    share: float
    magnitude_similarity: float
    ratio: float


@dataclass(frozen=True)
class PairSummary:
    """Two tasks over an epoch, by part; None for a part in which not both have gradients."""

    tasks: tuple[str, str]
    parts: Mapping[str, TaskConflict | None]

    @property
    def whole(self) -> TaskConflict | None:
        """The summary for the whole backbone."""
        return self.parts[WHOLE]

    @property
    def worst(self) -> str | None:
        """The part with the most conflicting steps, or the lowest cosine on ties; None if there is only one shared part."""
        shared = {part: conflict for part, conflict in self.parts.items() if conflict and part != WHOLE}
        if len(shared) < 2:
            return None
        return min(shared, key=lambda part: (-shared[part].share, shared[part].cosine))


@dataclass(frozen=True)
class TrackingSummary:
    """The tracked steps of an epoch: their number, the mean norm and ratio of each part (None if no step has any), and the pairs
    of tasks. `seconds` is the time spent on tracking, `total` that of all steps including tracking.
    """

    steps: int
    norms: Mapping[str, float | None]
    ratios: Mapping[str, float | None]
    pairs: tuple[PairSummary, ...]
    seconds: float
    total: float

    @property
    def cost(self) -> float:
        """The fraction of the time that was spent on tracking."""
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
    compared = [pair.parts for step in steps for pair in step.pairs if pair.tasks == tasks]
    names = {part: None for parts in compared for part in parts}
    return PairSummary(tasks, {part: _conflict([parts[part] for parts in compared if part in parts]) for part in names})


def _conflict(agreements: Sequence[GradientAgreement | None]) -> TaskConflict | None:
    defined = [agreement for agreement in agreements if agreement]
    if not defined:
        return None
    count = len(defined)
    return TaskConflict(
        count,
        sum(agreement.cosine for agreement in defined) / count,
        sum(agreement.cosine < 0 for agreement in defined) / count,
        sum(agreement.magnitude_similarity for agreement in defined) / count,
        exp(sum(log(agreement.ratio) for agreement in defined) / count),
    )


def _mean(values: Iterable[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return sum(defined) / len(defined) if defined else None
