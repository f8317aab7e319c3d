"""What `--balance` may say, and what goes with what. Free of torch."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

from mtlkit.config.numbers import finite
from mtlkit.config.training import BalanceOn
from mtlkit.errors import UsageError, listed, suggest

OWN = ("sum", "mean", "normalized", "weights", "uncertainty", "dwa", "famo")

# TorchJD's methods that need no more than the products of the tasks' gradients: the class, and what it has no default for.
# CAGrad's c is its paper's; at alpha 1 FairGrad is proportionally fair.
TORCHJD: dict[str, tuple[str, dict[str, Any]]] = {
    "pcgrad": ("PCGradWeighting", {}),
    "cagrad": ("CAGradWeighting", {"c": 0.5}),
    "upgrad": ("UPGradWeighting", {}),
    "dualproj": ("DualProjWeighting", {}),
    "mgda": ("MGDAWeighting", {}),
    "imtlg": ("IMTLGWeighting", {}),
    "nashmtl": ("NashMTL", {}),
    "alignedmtl": ("AlignedMTLWeighting", {}),
    "fairgrad": ("FairGradWeighting", {"alpha": 1.0}),
}
FORMS = ["weights:TASK=1,..." if name == "weights" else name for name in (*OWN, *TORCHJD)]
INSTALL = "pip install 'mtlkit[torchjd]'"


@dataclass(frozen=True)
class BalanceChoice:
    """A method asked for; `weights` are those of `weights:...`."""

    name: str = "sum"
    weights: dict[str, float] = field(default_factory=dict)

    @property
    def on_gradients(self) -> bool:
        """Whether it looks at the gradients of tasks, not only at their losses."""
        return self.name in TORCHJD

    @property
    def changes(self) -> bool:
        """Whether its weights change in training, and are worth showing."""
        return self.on_gradients or self.name in ("uncertainty", "dwa", "famo")


def parse_balance(text: str, tasks: Collection[str]) -> BalanceChoice:
    """`"weights:topic=1,sentiment=0.5"` as a choice; a task that is not named weighs 1. Raises UsageError."""
    name, colon, items = text.partition(":")
    if name not in OWN and name not in TORCHJD:
        raise UsageError(f"--balance {text}: no such method; there are {listed(FORMS, 20)}{suggest(name, [*OWN, *TORCHJD])}")
    if name != "weights":
        if colon:
            raise UsageError(f"--balance {text}: {name} takes nothing after its name; leave ':{items}' out")
        return BalanceChoice(name)
    weights = dict.fromkeys(tasks, 1.0)
    named: set[str] = set()
    for item in items.split(","):
        task, _, number = (part.strip() for part in item.partition("="))
        weight = finite(number)
        if not task or weight is None or weight < 0:
            raise UsageError(f"--balance {text}: write weights:TASK=NUMBER,..., with numbers from 0 upwards")
        if task not in weights:
            raise UsageError(f"--balance {text}: no task '{task}'; there are {listed(weights)}{suggest(task, weights)}")
        if task in named:
            raise UsageError(f"--balance {text}: '{task}' is given twice; leave one out")
        named.add(task)
        weights[task] = weight
    if not any(weights.values()):
        raise UsageError(f"--balance {text}: every weight is 0, so nothing would be learned; give one above 0")
    return BalanceChoice(name, weights)


def check_balance(choice: BalanceChoice, schedule: str, tasks: Collection[str], frozen: bool, on: BalanceOn = "vectors") -> None:
    """Refuses what cannot be or would do nothing. `schedule` is its name, `tasks` are those that train, `frozen` is whether
    the backbone is and stays so. Raises UsageError."""
    where = f"--balance {choice.name}"
    if on == "parameters" and not choice.on_gradients:
        raise UsageError(f"--balance-on parameters is for methods on gradients, not for {where}; there are {listed(TORCHJD)}")
    if choice.on_gradients:
        if frozen:
            raise UsageError(f"{where} balances the gradients that tasks share, and a frozen backbone has none; thaw some of it")
        if len(tasks) < 2:
            raise UsageError(f"{where} weighs tasks against each other, and {listed(tasks) or 'none'} is alone; give two or more")
    if (choice.on_gradients or choice.name == "famo") and schedule != "joint":
        raise UsageError(f"{where} needs all tasks in every step; give --schedule joint in place of {schedule}")
    if choice.on_gradients and find_spec("torchjd") is None:
        raise UsageError(torchjd_missing(choice.name))


def torchjd_missing(name: str) -> str:
    """What is said where TorchJD, or what a method needs of it, is not installed."""
    return f"--balance {name} comes from TorchJD, which is not installed; {INSTALL}"
