"""Elastic weight consolidation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mtlkit.config.registries.guards import GUARDS
from mtlkit.training.continual.methods.base import GuardMethod

if TYPE_CHECKING:
    from mtlkit.training.continual.guards import Guard, GuardContext


def make(context: GuardContext, *numbers: float) -> Guard:
    from mtlkit.training.continual.guards import EWC

    return EWC(context, *numbers)


GUARDS.add(GuardMethod(name="ewc", help="pulls those that matter to watched tasks.", form="ewc[:LAMBDA]", rank=1, make=make))
