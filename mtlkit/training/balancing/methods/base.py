"""The declaration of a balancing method."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mtlkit.config.registries.methods import Method
from mtlkit.config.task_training import BalanceOn

if TYPE_CHECKING:
    import torch

    from mtlkit.model.multitask import MultiTaskModel
    from mtlkit.training.balancing.loss_weighting import LossWeighting


@dataclass(frozen=True)
class BalanceContext:
    """The inputs of a method.

    `tasks` are the names of the tasks that train, `weights` is what `parse` returned, `on` is `--balance-on`, and `random` is the
    generator for random methods (None: torch's global one).
    """

    model: MultiTaskModel
    tasks: Sequence[str]
    weights: Mapping[str, float] = field(default_factory=dict)
    on: BalanceOn = "vectors"
    random: torch.Generator | None = None


@dataclass(frozen=True, kw_only=True)
class BalancingMethod(Method):
    """A balancing method in the registry. `make` builds its `LossWeighting`, and only then imports torch.

    `parse` reads the value after the method's name for the tasks that train, and raises UsageError (None: the method takes no
    value). `needs_joint`: every step must contain all tasks. `on_gradients`: the method compares the tasks' gradients, not only
    their losses. `modules` must be installed; the `extra` of mtlkit installs them. `aliases` are other names for the method.
    """

    make: Callable[[BalanceContext], LossWeighting]
    parse: Callable[[str, Collection[str]], dict[str, float]] | None = None
    needs_joint: bool = False
    on_gradients: bool = False
    modules: tuple[str, ...] = ()
    extra: str = ""
    aliases: tuple[str, ...] = ()
