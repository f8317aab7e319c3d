"""What a schedule is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mtlkit.config.registries.methods import Method

if TYPE_CHECKING:
    from mtlkit.training.sampling.orders import BatchOrder


@dataclass(frozen=True, kw_only=True)
class Schedule(Method):
    """`make` takes an `OrderContext` and the parameters, and builds the order of the tasks.

    `parse` reads the text after the name and a colon (empty if there is none) into parameters; it raises UsageError that begins
    with the option as it was typed, its first argument. None: the schedule takes no parameters. `joint`: every step has a batch
    of each task that trains.
    """

    make: Callable[..., BatchOrder]
    parse: Callable[[str, str], tuple[Any, ...]] | None = None
    joint: bool = False
