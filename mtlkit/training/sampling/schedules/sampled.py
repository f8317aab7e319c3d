"""Tasks in random order, in proportion to a power of their numbers of rows: proportional and temperature."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from fractions import Fraction
from functools import cached_property
from math import ceil, floor

from mtlkit.config.option import finite, whole
from mtlkit.config.registries.schedules import SCHEDULES
from mtlkit.errors import UsageError
from mtlkit.training.sampling.orders import Order, OrderContext
from mtlkit.training.sampling.schedules.base import Schedule


class Sampled:
    """Tasks in random order; task t gets a share p_t ~ min(n_t, cap)^(1 / T) of the steps, with n_t its number of rows (jiant:
    Pruksachatkun et al. 2020; MaChAmp: van der Goot et al. 2021, whose alpha is 1 / T). T = 1 is proportional to the rows, a
    large T approaches equal shares.

    Only the order is random: every epoch has the counts closest to the shares, with at least one batch per task. With B_t
    batches per pass, an epoch has as many steps as the largest B_t / p_t (`longest`: all rows of all tasks are seen) or the
    smallest (`shortest`: all rows of one task are seen, but for batches that go to tasks with none). A rehearsed task gets its
    share of a trained task's average.
    """

    def __init__(self, context: OrderContext, temperature: float = 1.0, cap: int | None = None) -> None:
        self.context, self.temperature, self.cap = context, temperature, cap

    @cached_property
    def counts(self) -> Counter[str]:
        """Steps of each task in an epoch."""
        context, weights = self.context, self._weights()
        rehearsed = {name: share / len(context.trained) for name, share in context.shares.items()}  # trained tasks sum to 1
        if context.length.name == "steps":
            return apportion(weights | rehearsed, context.length.micro_batches)
        steps = ceil(context.until({name: context.passes[name] / weight for name, weight in weights.items()}))
        steps = max(steps, len(weights))
        return apportion(weights, steps) + Counter({name: max(1, floor(steps * part)) for name, part in rehearsed.items()})

    def _weights(self) -> dict[str, Fraction]:
        """p_t of the trained tasks. Roots are rounded, so that the cube root of 64 is exactly 4."""
        rows = self.context.rows
        sizes = {name: min(rows[name], self.cap or rows[name]) for name in self.context.trained}
        roots = {name: Fraction(round(size ** (1 / self.temperature), 9)) for name, size in sizes.items()}
        return {name: root / sum(roots.values()) for name, root in roots.items()}

    def __call__(self, epoch: int) -> Order:
        from mtlkit.seeding import generator  # with NumPy, which --help does without

        names = [name for name in self.context.passes for _ in range(self.counts[name])]
        order = generator(self.context.seed, "order of tasks", epoch).permutation(len(names))
        return tuple((names[index],) for index in order)


def apportion(weights: Mapping[str, Fraction], seats: int) -> Counter[str]:
    """Integers that add up to `seats`, proportional to the weights by the largest remainder method (Hamilton), each at least 1:
    a name with 0 takes one from the largest, of equal ones from the one with the least weight. Needs at least one seat per name.
    """
    total = sum(weights.values())
    quotas = {name: seats * weight / total for name, weight in weights.items()}
    counts = Counter({name: floor(quota) for name, quota in quotas.items()})
    by_remainder = sorted(quotas, key=lambda name: counts[name] - quotas[name])
    counts.update(by_remainder[: seats - counts.total()])
    for name in weights:
        if not counts[name]:
            counts[min(counts, key=lambda other: (-counts[other], weights[other]))] -= 1
            counts[name] = 1
    return counts


FORM = "temperature:T[:CAP]"


def parse_temperature(where: str, text: str) -> tuple[float, int | None]:
    """Parses `T` or `T:CAP`. Raises UsageError."""
    number, colon, cap = text.partition(":")
    temperature = finite(number)
    if temperature is None or temperature < 1 or (colon and whole(cap, 1) is None):
        raise UsageError(
            f"{where}: use {FORM}, where T is a number >= 1 (1: proportional to the rows; larger: more even) and CAP a number "
            "of rows"
        )
    return temperature, whole(cap, 1)


SCHEDULES.add(Schedule(name="proportional", help="random, in proportion to rows.", rank=3, make=Sampled))
SCHEDULES.add(
    Schedule(
        name="temperature",
        help="random, in proportion to rows^(1/T), counting at most CAP rows.",
        form=FORM,
        rank=4,
        make=Sampled,
        parse=parse_temperature,
    )
)
