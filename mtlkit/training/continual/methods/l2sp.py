"""L2-SP: a pull towards the initial weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mtlkit.config.registries.guards import GUARDS
from mtlkit.training.continual.methods.base import GuardMethod

if TYPE_CHECKING:
    from mtlkit.training.continual.guards import Guard, GuardContext


def make(context: GuardContext, *numbers: float) -> Guard:
    from mtlkit.training.continual.guards import L2SP

    return L2SP(context, *numbers)


GUARDS.add(GuardMethod(name="l2sp", help="pulls weights towards the start.", form="l2sp[:ALPHA[:BETA]]", rank=0, make=make))
