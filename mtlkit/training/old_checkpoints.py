"""Upgrades checkpoints of earlier versions, whose components had other names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mtlkit.training.state_dict import StateDict

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
