"""From a choice to what weighs the losses of a training."""

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
    """`tasks` are those whose batches train something, by the names of their heads in the model; methods that draw do so from
    `random` (None: torch's global generator). Raises UsageError where what a method needs is not installed."""
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
