"""What a guard against forgetting is, before it is built."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mtlkit.config.registries.methods import Method

if TYPE_CHECKING:
    from mtlkit.training.continual.guards import Guard


@dataclass(frozen=True, kw_only=True)
class GuardMethod(Method):
    """`make` takes a `GuardContext` and the numbers that the user gave, and imports torch only then. `form` has a colon for each
    number."""

    make: Callable[..., Guard]
