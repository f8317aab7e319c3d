"""Weights that adapt to the losses during training: uncertainty, dwa and famo."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mtlkit.config.registries.balancing import BALANCING
from mtlkit.training.balancing.methods.base import BalanceContext, BalancingMethod

if TYPE_CHECKING:
    from mtlkit.training.balancing.loss_weighting import LossWeighting


def make_uncertainty(context: BalanceContext) -> LossWeighting:
    from mtlkit.training.balancing.loss_methods import UncertaintyWeighting

    return UncertaintyWeighting({name: context.model.tasks[name].kind for name in context.tasks})


def make_dwa(_: BalanceContext) -> LossWeighting:
    from mtlkit.training.balancing.loss_methods import DWA

    return DWA()


def make_famo(context: BalanceContext) -> LossWeighting:
    from mtlkit.training.balancing.loss_methods import FAMO

    return FAMO(context.tasks)


BALANCING.add(BalancingMethod(name="uncertainty", help="learned.", rank=4, make=make_uncertainty))
BALANCING.add(BalancingMethod(name="dwa", help="by how fast each loss falls.", rank=5, make=make_dwa))
BALANCING.add(
    BalancingMethod(name="famo", help="learned so that all losses fall alike.", rank=6, make=make_famo, needs_joint=True)
)
