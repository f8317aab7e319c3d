"""The losses of a piece of work, by name, and what else a method of balancing may ask of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from torch import Tensor

from mtlkit.training.events import GUARD

Value = TypeVar("Value")


class Losses(dict[str, Tensor]):
    """A loss a task, and one a guard (`guard:NAME`). `vectors` are those of each task's texts, (N, D), which its loss is of."""

    def __init__(self, losses: Mapping[str, Tensor], vectors: Mapping[str, Tensor]) -> None:
        super().__init__(losses)
        self.vectors = vectors


def is_guard(name: str) -> bool:
    """Whether a loss is a guard's: these are added as they are, whatever the balance."""
    return name.startswith(GUARD)


def of_tasks(losses: Mapping[str, Value]) -> dict[str, Value]:
    """Those that are not guards'."""
    return {name: loss for name, loss in losses.items() if not is_guard(name)}
