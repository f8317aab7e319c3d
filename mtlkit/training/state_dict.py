"""What a part of a training needs to go on as if nothing had been between: tensors by name, and the rest as plain JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class StateDict:
    """Tensors may be those that the training goes on with: a snapshot is written before the next step, or not at all."""

    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    plain: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def join(cls, parts: Mapping[str, StateDict]) -> StateDict:
        """Several as one; `part` gives each of them back. No name has a colon in it."""
        tensors = {f"{name}:{key}": value for name, one in parts.items() for key, value in one.tensors.items()}
        return cls(tensors, {name: one.plain for name, one in parts.items()})

    def part(self, name: str) -> StateDict:
        return StateDict(self.tensors_of(name), self.plain[name])

    def tensors_of(self, name: str) -> dict[str, Tensor]:
        """Those of a part, whatever is plain."""
        start = f"{name}:"
        return {key[len(start) :]: value for key, value in self.tensors.items() if key.startswith(start)}


@torch.no_grad()
def copy_into(weights: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    """Gives weights the values that are found by their names; others stay. In place: where they lie in memory, and how they are
    aligned there, decides the last bit of some products."""
    for name, value in found.items():
        weights[name].copy_(value)
