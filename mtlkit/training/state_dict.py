"""The saved state of a training component: tensors by name, and everything else as plain JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class StateDict:
    """Tensors may be shared with the running training, so write a snapshot before the next step."""

    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    plain: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def join(cls, parts: Mapping[str, StateDict]) -> StateDict:
        """Joins several states; `part` extracts each of them. Names must not contain a colon."""
        tensors = {f"{name}:{key}": value for name, one in parts.items() for key, value in one.tensors.items()}
        return cls(tensors, {name: one.plain for name, one in parts.items()})

    def part(self, name: str) -> StateDict:
        return StateDict(self.tensors_of(name), self.plain[name])

    def tensors_of(self, name: str) -> dict[str, Tensor]:
        """The tensors of a component, by their names within it."""
        start = f"{name}:"
        return {key[len(start) :]: value for key, value in self.tensors.items() if key.startswith(start)}


@torch.no_grad()
def copy_into(weights: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    """Copies values into the weights of the same names; others are unchanged. In place, as memory alignment affects the last bit
    of some products.
    """
    for name, value in found.items():
        weights[name].copy_(value)
