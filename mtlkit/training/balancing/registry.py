"""Validates and builds the balancing method that a user chose. The methods are in `methods/`; torch is imported to build one."""

from __future__ import annotations

from collections.abc import Collection
from importlib.util import find_spec
from typing import TYPE_CHECKING

from mtlkit.config.registries.balancing import BALANCING, BalanceChoice
from mtlkit.config.registries.methods import ordered
from mtlkit.config.registries.schedules import SCHEDULES, ScheduleChoice
from mtlkit.config.task_training import BalanceOn
from mtlkit.errors import UsageError, listed
from mtlkit.training.balancing.methods.base import BalanceContext

if TYPE_CHECKING:
    from mtlkit.training.balancing.loss_weighting import LossWeighting


def make_balance(choice: BalanceChoice, context: BalanceContext) -> LossWeighting:
    """Creates the loss weighting of a training. Raises UsageError if a dependency is not installed."""
    weighting: LossWeighting = BALANCING[choice.name].make(context)
    return weighting


def missing_module(name: str) -> str | None:
    """The first module that a method needs but that is not installed. `name` is the full name of the method."""
    return next((module for module in BALANCING[name].modules if find_spec(module) is None), None)


def not_installed(name: str, module: str) -> str:
    """The error message for a method whose module is not installed."""
    extra = BALANCING[name].extra
    install = f"'mtlkit[{extra}]'" if extra else module
    return f"--balance {name} needs {module}, which is not installed; run: pip install {install}"


def check_balance(
    choice: BalanceChoice,
    schedule: ScheduleChoice,
    tasks: Collection[str],
    frozen: bool,
    on: BalanceOn = "vectors",
    *,
    together: bool = False,
) -> None:
    """Raises UsageError if a method does not fit the other options or is not installed.

    `tasks` are those that train, and `frozen` means that the backbone never trains. `together`: whatever the schedule, all are in
    every step, as they are label columns of one table.
    """
    where, method = f"--balance {choice.name}", BALANCING[choice.name]
    if on == "parameters" and not method.on_gradients:
        names = [known.name for known in ordered(BALANCING) if known.on_gradients]
        raise UsageError(f"--balance-on parameters needs a method on gradients, not {where}; choose from {listed(names)}")
    if method.on_gradients:
        if frozen:
            raise UsageError(f"{where} weighs the gradients that tasks share, but the backbone is frozen; unfreeze some of it")
        if len(tasks) < 2:
            raise UsageError(f"{where} needs two or more tasks that train; got {listed(tasks) or 'none'}")
    if method.needs_joint and not schedule.definition.joint and not together:
        joint = " or ".join(known.syntax for known in ordered(SCHEDULES) if known.joint)
        raise UsageError(f"{where} needs all tasks in every step; use --schedule {joint} instead of {schedule.name}")
    if module := missing_module(choice.name):
        raise UsageError(not_installed(choice.name, module))
