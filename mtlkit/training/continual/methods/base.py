"""The declaration of a guard against forgetting."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mtlkit.config.registries.methods import Method

if TYPE_CHECKING:
    from mtlkit.training.continual.guards import Guard


@dataclass(frozen=True, kw_only=True)
class GuardMethod(Method):
    """A guard in the registry. `make` builds it from a `GuardContext` and the numbers that the user gave, and only then imports
    torch. `form` shows the syntax, with a colon before each number.
    """

    make: Callable[..., Guard]
