"""The losses of a micro-batch by name, and the vectors that some balancing methods need."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from torch import Tensor

from mtlkit.training.events import GUARD

Value = TypeVar("Value")


class Losses(dict[str, Tensor]):
    """One loss per task and per guard (`guard:NAME`). `vectors` are the vectors of each task's texts, (N, D), from which its loss
    is computed.
    """

    def __init__(self, losses: Mapping[str, Tensor], vectors: Mapping[str, Tensor]) -> None:
        super().__init__(losses)
        self.vectors = vectors


def is_guard(name: str) -> bool:
    """Whether a loss belongs to a guard. No balancing method weights the losses of guards."""
    return name.startswith(GUARD)


def of_tasks(losses: Mapping[str, Value]) -> dict[str, Value]:
    """The losses without those of guards."""
    return {name: loss for name, loss in losses.items() if not is_guard(name)}
