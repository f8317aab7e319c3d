"""The methods of `--balance`: names, dependencies, and compatible options. Imports no torch."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

from mtlkit.config.option import finite
from mtlkit.config.training import BalanceOn
from mtlkit.errors import UsageError, listed, suggest

OWN = ("sum", "mean", "normalized", "weights", "uncertainty", "dwa", "famo")
PREFIX = "torchjd:"


@dataclass(frozen=True)
class TorchJDMethod:
    """A weighting of TorchJD that needs only the inner products of the tasks' gradients.

    `weighting` is its class in `torchjd.aggregation`, `settings` are the arguments without a default, `needs` the modules beyond
    TorchJD, and `extra` is the extra of mtlkit that installs everything.
    """

    weighting: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    extra: str = "torchjd"


# CAGrad's c is its paper's; at alpha 1 FairGrad is proportionally fair.
TORCHJD: dict[str, TorchJDMethod] = {
    PREFIX + name: method
    for name, method in {
        "pcgrad": TorchJDMethod("PCGradWeighting"),
        "cagrad": TorchJDMethod("CAGradWeighting", {"c": 0.5}, ("cvxpy", "clarabel")),
        "upgrad": TorchJDMethod("UPGradWeighting", needs=("qpsolvers", "quadprog"), extra="torchjd-gpl"),
        "dualproj": TorchJDMethod("DualProjWeighting", needs=("qpsolvers", "quadprog"), extra="torchjd-gpl"),
        "mgda": TorchJDMethod("MGDAWeighting"),
        "imtlg": TorchJDMethod("IMTLGWeighting"),
        "nashmtl": TorchJDMethod("NashMTL", needs=("cvxpy", "ecos"), extra="torchjd-gpl"),
        "alignedmtl": TorchJDMethod("AlignedMTLWeighting"),
        "fairgrad": TorchJDMethod("FairGradWeighting", {"alpha": 1.0}),
    }.items()
}
FORMS = ["weights:TASK=1,..." if name == "weights" else name for name in (*OWN, *TORCHJD)]


def full_name(text: str) -> str:
    """A value of `--balance` with aliases resolved: TorchJD's methods work without their prefix, "upgrad" is "torchjd:upgrad"."""
    return PREFIX + text if PREFIX + text in TORCHJD else text


def missing_module(name: str) -> str | None:
    """The first module that a method needs and that is not installed, by the method's full name."""
    needs = ("torchjd", *TORCHJD[name].needs) if name in TORCHJD else ()
    return next((module for module in needs if find_spec(module) is None), None)


def not_installed(name: str, module: str) -> str:
    """The error message for a method whose module is not installed."""
    return f"--balance {name} needs {module}, which is not installed; run: pip install 'mtlkit[{TORCHJD[name].extra}]'"


@dataclass(frozen=True)
class BalanceChoice:
    """A chosen method, by its full name; `weights` are those of `weights:...`."""

    name: str = "sum"
    weights: dict[str, float] = field(default_factory=dict)

    @property
    def on_gradients(self) -> bool:
        """Whether it compares the gradients of tasks, not only their losses."""
        return self.name in TORCHJD


def parse_balance(text: str, tasks: Collection[str]) -> BalanceChoice:
    """Reads a value such as "weights:topic=1,sentiment=0.5" or "torchjd:upgrad". Tasks without a weight get 1.

    Raises UsageError for an unknown method or task, or a weight that is not a number from 0 upwards.
    """
    if full_name(text) in TORCHJD:
        return BalanceChoice(full_name(text))
    name, colon, items = text.partition(":")
    if name not in OWN:
        near = suggest(text, [*OWN, *TORCHJD]) or suggest(PREFIX + text, TORCHJD)
        raise UsageError(f"--balance {text}: unknown method; choose from {listed(FORMS, 20)}{near}")
    if name != "weights":
        if colon:
            raise UsageError(f"--balance {text}: {name} takes no value; remove ':{items}'")
        return BalanceChoice(name)
    return BalanceChoice(name, _parse_weights(text, items, tasks))


def _parse_weights(text: str, items: str, tasks: Collection[str]) -> dict[str, float]:
    weights = dict.fromkeys(tasks, 1.0)
    named: set[str] = set()
    for item in items.split(","):
        task, _, number = (part.strip() for part in item.partition("="))
        weight = finite(number)
        if not task or weight is None or weight < 0:
            raise UsageError(f"--balance {text}: write weights:TASK=NUMBER,..., with numbers from 0 upwards")
        if task not in weights:
            raise UsageError(f"--balance {text}: unknown task '{task}'; tasks: {listed(weights)}{suggest(task, weights)}")
        if task in named:
            raise UsageError(f"--balance {text}: '{task}' is given twice; remove one")
        named.add(task)
        weights[task] = weight
    if not any(weights.values()):
        raise UsageError(f"--balance {text}: every weight is 0, so nothing would be learned; give one above 0")
    return weights


def check_balance(choice: BalanceChoice, schedule: str, tasks: Collection[str], frozen: bool, on: BalanceOn = "vectors") -> None:
    """Checks that a method fits the other options and is installed. `schedule` is the schedule's name, `tasks` are those that
    train, and `frozen` tells whether the backbone is frozen throughout. Raises UsageError.
    """
    where = f"--balance {choice.name}"
    if on == "parameters" and not choice.on_gradients:
        raise UsageError(f"--balance-on parameters needs a method on gradients, not {where}; choose from {listed(TORCHJD)}")
    if choice.on_gradients:
        if frozen:
            raise UsageError(f"{where} weighs the gradients that tasks share, but the backbone is frozen; unfreeze some of it")
        if len(tasks) < 2:
            raise UsageError(f"{where} needs two or more tasks that train; got {listed(tasks) or 'none'}")
    if (choice.on_gradients or choice.name == "famo") and schedule != "joint":
        raise UsageError(f"{where} needs all tasks in every step; use --schedule joint instead of {schedule}")
    if module := missing_module(choice.name):
        raise UsageError(not_installed(choice.name, module))
