"""From a choice to what weighs the losses of a training."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from mtlkit.config.training import BalanceOn
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.balancing.gradient_methods import AtParameters, AtVectors
from mtlkit.training.balancing.loss_weighting import DWA, FAMO, Balance, Uncertainty, normalized
from mtlkit.training.balancing.registry import BalanceChoice


def make_balance(
    choice: BalanceChoice,
    model: MultiTaskModel,
    tasks: Sequence[str],
    on: BalanceOn = "vectors",
    random: torch.Generator | None = None,
) -> Balance:
    """`tasks` are those whose batches train something, by the names of their heads in the model; methods that draw do so from
    `random` (None: torch's global generator). Raises UsageError where what a method needs is not installed."""
    if choice.on_gradients:
        return (AtParameters if on == "parameters" else AtVectors)(choice.name, model, random)
    if choice.name == "uncertainty":
        return Uncertainty({name: model.tasks[name].kind for name in tasks})
    if choice.name == "dwa":
        return DWA()
    if choice.name == "famo":
        return FAMO(tasks)
    if choice.name == "mean":
        return Balance(dict.fromkeys(tasks, 1 / len(tasks)))
    if choice.name == "normalized":
        return Balance({name: normalized(model.tasks[name]) for name in tasks})
    return Balance(choice.weights)
