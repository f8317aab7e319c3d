"""The saved state of a training component: tensors by name, and everything else as plain JSON; upgrades of earlier versions."""

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


RENAMED = {"ledger:bests:": "validation:best_weights:", "ledger:coverage:": "validation:coverage:", "bound:": "limit:"}
UPDATER = ("weights", "optimizer", "random", "spikes")  # components that were stored separately


def is_complete(training: Mapping[str, Any]) -> bool:
    """Whether the JSON part of a checkpoint says that the last step was done."""
    complete: bool = training["trainer" if "trainer" in training else "own"]["complete"]
    return complete


def upgraded(state: StateDict) -> StateDict:
    """Upgrades a checkpoint of any version to the current names."""
    if "trainer" in state.plain:
        return state
    plain, own = state.plain, state.plain["own"]
    upgraded = {"trainer": {**(own["stand"] if "stand" in own else own["reached"]), "complete": own["complete"]}}
    upgraded["updater"] = {name: plain[name] for name in UPDATER}
    if "stand" in own:  # tasks; "reached": a base
        upgraded["schedule"] = {"left": own["left"]}
        upgraded["weighting"] = own["balance"]
        upgraded["tracker"] = {**own["tracker"], "last": own["last"]}
        upgraded["validation"] = _validation(plain["ledger"])
        if "bound" in plain:
            upgraded["limit"] = plain["bound"]
    return StateDict({_renamed(name): tensor for name, tensor in state.tensors.items()}, upgraded)


def _validation(ledger: Mapping[str, Any]) -> dict[str, Any]:
    own = ledger["own"]
    averages = {"averages": own["account"], "untaught": own.get("untaught", {}), "scores": own["memory"]}
    return {"own": averages, "best_weights": ledger["bests"], "coverage": ledger["coverage"]}


def _renamed(name: str) -> str:
    for old, new in RENAMED.items():
        if name.startswith(old):
            return new + name[len(old) :]
    return f"updater:{name}"
