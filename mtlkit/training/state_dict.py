"""The state of a training component for checkpoints: tensors and plain JSON. Upgrades checkpoints of earlier versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class StateDict:
    """The state of a component. Tensors may be shared with the running training, so save it before the next step."""

    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    plain: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def join(cls, parts: Mapping[str, StateDict]) -> StateDict:
        """Joins the states of several components, by name; `part` extracts one. Names must not contain a colon."""
        tensors = {f"{name}:{key}": value for name, state in parts.items() for key, value in state.tensors.items()}
        return cls(tensors, {name: state.plain for name, state in parts.items()})

    def part(self, name: str) -> StateDict:
        """The state of a component that was joined under this name."""
        return StateDict(self.tensors_of(name), self.plain[name])

    def tensors_of(self, name: str) -> dict[str, Tensor]:
        """The tensors of a component, by their own names."""
        start = f"{name}:"
        return {key[len(start) :]: value for key, value in self.tensors.items() if key.startswith(start)}


@torch.no_grad()
def copy_into(weights: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> None:
    """Copies values into the weights of the same names, in place: the alignment of a new tensor could change the last bit of some
    products. Other weights are unchanged.
    """
    for name, value in values.items():
        weights[name].copy_(value)


RENAMED = {"ledger:bests:": "validation:best_weights:", "ledger:coverage:": "validation:coverage:", "bound:": "limit:"}
UPDATER = ("weights", "optimizer", "random", "spikes")  # components that were stored separately


def is_complete(training: Mapping[str, Any]) -> bool:
    """Whether a checkpoint, of which this is the JSON part, was saved after the last step."""
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
