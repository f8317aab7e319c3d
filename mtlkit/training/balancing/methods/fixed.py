"""Constant weights: sum, mean, normalized and weights:..."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from mtlkit.config.option import finite
from mtlkit.config.registries.balancing import BALANCING
from mtlkit.errors import UsageError, listed, suggest
from mtlkit.training.balancing.methods.base import BalanceContext, BalancingMethod

if TYPE_CHECKING:
    from mtlkit.training.balancing.loss_weighting import LossWeighting


def make_sum(context: BalanceContext) -> LossWeighting:
    from mtlkit.training.balancing.loss_weighting import LossWeighting

    return LossWeighting(context.weights)


def make_mean(context: BalanceContext) -> LossWeighting:
    from mtlkit.training.balancing.loss_weighting import LossWeighting

    return LossWeighting(dict.fromkeys(context.tasks, 1 / len(context.tasks)))


def make_normalized(context: BalanceContext) -> LossWeighting:
    from mtlkit.training.balancing.loss_methods import normalized
    from mtlkit.training.balancing.loss_weighting import LossWeighting

    return LossWeighting({name: normalized(context.model.tasks[name]) for name in context.tasks})


def parse_weights(value: str, tasks: Collection[str]) -> dict[str, float]:
    """Reads weights such as "topic=1,sentiment=0.5"; the other tasks get 1. Raises UsageError."""
    where = f"--balance weights:{value}" if value else "--balance weights"
    weights = dict.fromkeys(tasks, 1.0)
    named: set[str] = set()
    for item in value.split(","):
        task, _, number = (part.strip() for part in item.partition("="))
        weight = finite(number)
        if not task or weight is None or weight < 0:
            raise UsageError(f"{where}: write weights:TASK=NUMBER,..., with numbers from 0 upwards")
        if task not in weights:
            raise UsageError(f"{where}: unknown task '{task}'; tasks: {listed(weights)}{suggest(task, weights)}")
        if task in named:
            raise UsageError(f"{where}: '{task}' is given twice; remove one")
        named.add(task)
        weights[task] = weight
    if not any(weights.values()):
        raise UsageError(f"{where}: every weight is 0, so nothing would be learned; give one above 0")
    return weights


BALANCING.add(BalancingMethod(name="sum", help="all losses count alike.", rank=0, make=make_sum))
BALANCING.add(BalancingMethod(name="mean", help="1 / number of tasks.", rank=1, make=make_mean))
BALANCING.add(
    BalancingMethod(name="normalized", help="divided by the logarithm of the number of classes.", rank=2, make=make_normalized)
)
BALANCING.add(
    BalancingMethod(
        name="weights",
        help="as given (1 for other tasks).",
        form="weights:TASK=1,...",
        rank=3,
        make=make_sum,
        parse=parse_weights,
    )
)
