"""Creates the loss weighting for a chosen method."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from mtlkit.config.training import BalanceOn
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.balancing.gradient_methods import ParameterGradients, VectorGradients
from mtlkit.training.balancing.loss_weighting import DWA, FAMO, LossWeighting, UncertaintyWeighting, normalized
from mtlkit.training.balancing.registry import BalanceChoice


def make_balance(
    choice: BalanceChoice,
    model: MultiTaskModel,
    tasks: Sequence[str],
    on: BalanceOn = "vectors",
    random: torch.Generator | None = None,
) -> LossWeighting:
    """Creates the loss weighting of a training. `tasks` are those with trainable weights, by the names of their heads in the
    model; random methods draw from `random` (None: torch's global generator). Raises UsageError if a dependency is not installed.
    """
    if choice.on_gradients:
        return (ParameterGradients if on == "parameters" else VectorGradients)(choice.name, model, random)
    if choice.name == "uncertainty":
        return UncertaintyWeighting({name: model.tasks[name].kind for name in tasks})
    if choice.name == "dwa":
        return DWA()
    if choice.name == "famo":
        return FAMO(tasks)
    if choice.name == "mean":
        return LossWeighting(dict.fromkeys(tasks, 1 / len(tasks)))
    if choice.name == "normalized":
        return LossWeighting({name: normalized(model.tasks[name]) for name in tasks})
    return LossWeighting(choice.weights)
