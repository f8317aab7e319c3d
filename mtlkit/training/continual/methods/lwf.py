"""Learning without Forgetting."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mtlkit.config.registries.guards import GUARDS
from mtlkit.training.continual.methods.base import GuardMethod

if TYPE_CHECKING:
    from mtlkit.training.continual.guards import Guard, GuardContext


def make(context: GuardContext, *numbers: float) -> Guard:
    from mtlkit.training.continual.lwf import LwF

    return LwF(context, *numbers)


GUARDS.add(GuardMethod(name="lwf", help="keeps the outputs of existing heads.", form="lwf[:ALPHA[:T]]", rank=2, make=make))
