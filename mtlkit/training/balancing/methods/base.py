"""What a balancing method is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mtlkit.config.registries.methods import Method
from mtlkit.config.training import BalanceOn

if TYPE_CHECKING:
    import torch

    from mtlkit.model.multitask import MultiTaskModel
    from mtlkit.training.balancing.loss_weighting import LossWeighting


@dataclass(frozen=True)
class BalanceContext:
    """The inputs of a method: the model; the tasks with trainable weights, by the names of their heads; what `parse` returned;
    `--balance-on`; the generator that random methods draw from (None: torch's global one).
    """

    model: MultiTaskModel
    tasks: Sequence[str]
    weights: Mapping[str, float] = field(default_factory=dict)
    on: BalanceOn = "vectors"
    random: torch.Generator | None = None


@dataclass(frozen=True, kw_only=True)
class BalancingMethod(Method):
    """`make` builds what weights the losses in a training, and imports torch only then.

    `parse` reads the value after the name, given the tasks that train, and raises UsageError (None: the method takes no value).
    `needs_joint`: every step must have all tasks. `on_gradients`: compares the gradients of tasks, not only their losses.
    `modules` must be installed, and are by the `extra` of mtlkit. `aliases` are other names that users may type.
    """

    make: Callable[[BalanceContext], LossWeighting]
    parse: Callable[[str, Collection[str]], dict[str, float]] | None = None
    needs_joint: bool = False
    on_gradients: bool = False
    modules: tuple[str, ...] = ()
    extra: str = ""
    aliases: tuple[str, ...] = ()
