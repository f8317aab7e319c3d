"""The order of tasks within an epoch: one class per kind of schedule. An order is a pure function of seed and epoch."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import count, islice
from math import ceil, floor
from typing import Protocol

from mtlkit.config.registries.schedules import EpochLength, ScheduleChoice
from mtlkit.seeding import generator

# the tasks of each micro-batch of an epoch; a micro-batch is an optimizer step unless several are accumulated
Order = tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class OrderContext:
    """The inputs of an order: batches per pass and rows of each task, in round-robin order; the shares of rehearsed tasks; the
    length of an epoch.
    """

    passes: Mapping[str, int]
    rows: Mapping[str, int]
    shares: Mapping[str, Fraction]
    length: EpochLength
    seed: int

    @property
    def trained(self) -> list[str]:
        return [name for name in self.passes if name not in self.shares]

    def until(self, passes: Mapping[str, Fraction | int]) -> Fraction | int:
        """The maximum over the trained tasks, or the minimum if the epoch length is `shortest`."""
        choose = min if self.length.name == "shortest" else max
        return choose(passes[name] for name in self.trained)


class BatchOrder(Protocol):
    """One class per kind of schedule."""

    def __call__(self, epoch: int) -> Order: ...


class RoundRobin:
    """A round contains one batch of each task: in successive steps (`round-robin`), or all in one step (`joint`).

    A rehearsed task takes part in its share of the rounds, evenly spaced, and in at least one per epoch. With a fixed number of
    steps, an epoch may end within a round: the next epoch continues with the next turn, so that no task gets fewer batches.
    """

    def __init__(self, terms: OrderContext, *, joint: bool) -> None:
        self.terms, self.joint = terms, joint
        self.turns = terms.length.name == "steps" and not joint

    @cached_property
    def rounds(self) -> int:
        """Rounds per epoch; full rounds only, if an epoch ends within a round."""
        length = self.terms.length
        if length.name == "steps":
            return length.micro_batches if self.joint else max(1, length.micro_batches // len(self.terms.passes))
        return int(self.terms.until(self.terms.passes))

    @cached_property
    def parts(self) -> dict[str, Fraction | int]:
        """The share of rounds that include each task."""
        shares = {name: max(share, Fraction(1, self.rounds)) for name, share in self.terms.shares.items()}
        return {name: shares.get(name, 1) for name in self.terms.passes}

    def round(self, place: int) -> tuple[str, ...]:
        return tuple(name for name, part in self.parts.items() if floor((place + 1) * part) > floor(place * part))

    def __call__(self, epoch: int) -> Order:
        if self.turns:
            return self._turns(epoch * self.terms.length.micro_batches)
        return self._whole

    @cached_property
    def _whole(self) -> Order:
        """An epoch of full rounds, always the same."""
        rounds = tuple(self.round(place) for place in range(self.rounds))
        return rounds if self.joint else tuple((name,) for names in rounds for name in names)

    def _turns(self, first: int) -> Order:
        """An epoch that starts at turn `first` of the training."""
        start = bisect_right(range(first + 1), first, key=self._turns_before) - 1
        turns = ((name,) for place in count(start) for name in self.round(place))
        skipped = first - self._turns_before(start)
        return tuple(islice(turns, skipped, skipped + self.terms.length.micro_batches))

    def _turns_before(self, place: int) -> int:
        return sum(floor(place * part) for part in self.parts.values())


class Sequential:
    """The batches of round-robin, but all of one task before the next. Nothing else differs, which allows comparisons."""

    def __init__(self, terms: OrderContext) -> None:
        self.turns, self.places = RoundRobin(terms, joint=False), list(terms.passes)

    def __call__(self, epoch: int) -> Order:
        return tuple(sorted(self.turns(epoch), key=lambda names: self.places.index(names[0])))


class Sampled:
    """Tasks in random order; task t gets a share p_t ~ min(n_t, cap)^(1 / T) of the steps, with n_t its number of rows (jiant:
    Pruksachatkun et al. 2020; MaChAmp: van der Goot et al. 2021, whose alpha is 1 / T). T = 1 is proportional to the rows, a
    large T approaches equal shares.

    Only the order is random: every epoch has the counts closest to the shares, with at least one batch per task. With B_t
    batches per pass, an epoch has as many steps as the largest B_t / p_t (`longest`: all rows of all tasks are seen) or the
    smallest (`shortest`: all rows of one task are seen). A rehearsed task gets its share of a trained task's average.
    """

    def __init__(self, terms: OrderContext, schedule: ScheduleChoice) -> None:
        self.terms, self.schedule = terms, schedule

    @cached_property
    def counts(self) -> Counter[str]:
        """Steps of each task in an epoch."""
        terms, weights = self.terms, self._weights()
        rehearsed = {name: share / len(terms.trained) for name, share in terms.shares.items()}  # trained tasks sum to 1
        if terms.length.name == "steps":
            return apportion(weights | rehearsed, terms.length.micro_batches)
        steps = ceil(terms.until({name: terms.passes[name] / weight for name, weight in weights.items()}))
        steps = max(steps, len(weights))
        return apportion(weights, steps) + Counter({name: max(1, floor(steps * part)) for name, part in rehearsed.items()})

    def _weights(self) -> dict[str, Fraction]:
        """p_t of the trained tasks. Roots are rounded, so that the cube root of 64 is exactly 4."""
        sizes = {name: min(self.terms.rows[name], self.schedule.cap or self.terms.rows[name]) for name in self.terms.trained}
        roots = {name: Fraction(round(size ** (1 / self.schedule.temperature), 9)) for name, size in sizes.items()}
        return {name: root / sum(roots.values()) for name, root in roots.items()}

    def __call__(self, epoch: int) -> Order:
        names = [name for name in self.terms.passes for _ in range(self.counts[name])]
        return tuple((names[place],) for place in generator(self.terms.seed, "order of tasks", epoch).permutation(len(names)))


def apportion(weights: Mapping[str, Fraction], seats: int) -> Counter[str]:
    """Integers that add up to `seats`, proportional to the weights by the largest remainder method (Hamilton), each at least 1:
    a name with 0 takes one from the largest. Needs at least one seat per name.
    """
    total = sum(weights.values())
    quotas = {name: seats * weight / total for name, weight in weights.items()}
    counts = Counter({name: floor(quota) for name, quota in quotas.items()})
    by_remainder = sorted(quotas, key=lambda name: counts[name] - quotas[name])
    counts.update(by_remainder[: seats - counts.total()])
    for name in weights:
        if not counts[name]:
            counts[max(counts, key=lambda other: counts[other])] -= 1
            counts[name] = 1
    return counts


def ordering(terms: OrderContext, schedule: ScheduleChoice) -> BatchOrder:
    """Builds the order of a schedule."""
    if schedule.drawn:
        return Sampled(terms, schedule)
    return Sequential(terms) if schedule.name == "sequential" else RoundRobin(terms, joint=schedule.name == "joint")
