"""AdamW with weight decay on matrices only, Muon beside it, and the learning rate as a function of the step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from inspect import unwrap
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from mtlkit.training.muon import Muon, is_block_matrix
from mtlkit.training.state_dict import StateDict


class RateSchedule(Protocol):
    """The learning rate as a function of the step."""

    def at(self, step: int) -> float:
        """The rate of step 0, 1, ..."""
        ...


@dataclass(frozen=True)
class LearningRate:
    """Linear warm-up over a fraction `warmup` of `steps`, then half a cosine from `peak` down to `floor` * `peak` (Loshchilov &
    Hutter 2017).
    """

    peak: float
    steps: int
    warmup: float = 0.1
    floor: float = 0.1

    def at(self, step: float) -> float:
        """The rate of step 0, 1, ..., or between two steps."""
        rising = max(1, round(self.steps * self.warmup))
        if step < rising:
            return self.peak * (step + 1) / rising
        done = min(1.0, (step - rising) / max(1, self.steps - rising))
        return self.peak * (self.floor + (1 - self.floor) * (1 + math.cos(math.pi * done)) / 2)


Weights = Mapping[str, nn.Parameter]

THAW_STEPS = 50  # usual warm-up of weights that start training later: their rate rises from 0 to that of the others


def make_groups(
    weights: Weights, weight_decay: float, lr_scales: Mapping[str, float] | None = None, since: int | None = None
) -> list[dict[str, Any]]:
    """Parameter groups for the weights that require gradients; frozen ones are in none, so they are never decayed. Norms and
    biases get no weight decay either.

    `lr_scales` are learning rates by weight name, relative to the schedule's (1 if missing). `since` is the step at which the
    weights start training; None if at the beginning.
    """
    groups: dict[tuple[bool, float], dict[str, Any]] = {}
    for name, weight in weights.items():
        if weight.requires_grad:
            is_matrix, multiple = weight.ndim >= 2, (lr_scales or {}).get(name, 1.0)
            decay = weight_decay if is_matrix else 0.0
            group = groups.setdefault(
                (is_matrix, multiple), {"params": [], "weight_decay": decay, "multiple": multiple, "since": since}
            )
            group["params"].append(weight)
    return list(groups.values())


class EagerAdamW(AdamW):
    """AdamW without the wrappers that shield it from torch's compiler, which is not used here: they import it, in seconds."""

    add_param_group = unwrap(AdamW.add_param_group)
    zero_grad = unwrap(AdamW.zero_grad)
    step = torch.no_grad()(unwrap(AdamW.step))


def make_optimizer(weights: Weights, weight_decay: float, lr_scales: Mapping[str, float] | None = None) -> AdamW:
    """AdamW over the weights that require gradients."""
    fused = all(weight.device.type in ("cpu", "cuda") for weight in weights.values())
    return EagerAdamW(make_groups(weights, weight_decay, lr_scales), betas=(0.9, 0.98), eps=1e-8, fused=fused)


def add_thawed(
    optimizer: torch.optim.Optimizer, weights: Weights, weight_decay: float, lr_scales: Mapping[str, float], step: int
) -> None:
    """Adds weights that require gradients from this step on. They have no moments yet and get a warm-up of their own."""
    known = {id(weight) for group in optimizer.param_groups for weight in group["params"]}
    thawed = {name: weight for name, weight in weights.items() if weight.requires_grad and id(weight) not in known}
    for group in make_groups(thawed, weight_decay, lr_scales, step):
        optimizer.add_param_group(group)


def set_rate(optimizer: torch.optim.Optimizer, rate: float, step: int, thaw_steps: int = THAW_STEPS) -> None:
    """Sets the learning rate of every group to its multiple of `rate`, less during its own warm-up."""
    for group in optimizer.param_groups:
        since = group["since"]
        rising = 1.0 if since is None else min(1.0, (step - since + 1) / thaw_steps)
        group["lr"] = rate * group["multiple"] * rising


def optimizer_state(optimizer: torch.optim.Optimizer, weights: Weights) -> StateDict:
    """The state for `load_optimizer`: the names of the weights in each group, and their moments."""
    names = {id(weight): name for name, weight in weights.items()}
    groups = [
        {"weights": [names[id(weight)] for weight in group["params"]], **{key: group[key] for key in GROUP}}
        for group in optimizer.param_groups
    ]
    moments = {f"{names[id(weight)]}/{key}": value for weight, state in optimizer.state.items() for key, value in state.items()}
    return StateDict(moments, {"groups": groups})


GROUP = ("weight_decay", "multiple", "since")  # the settings of a group that are saved
PARTS = ("groups", "muon")  # where the groups of AdamW are saved, and those of Muon


def load_optimizer(optimizer: torch.optim.Optimizer, weights: Weights, state: StateDict) -> None:
    """Restores a new optimizer to the saved state of one with the same weights."""
    optimizer.param_groups.clear()
    for group in state.plain["groups"]:
        optimizer.add_param_group({"params": [weights[name] for name in group["weights"]], **{key: group[key] for key in GROUP}})
    by_weight: dict[str, dict[str, Tensor]] = {}
    for key, value in state.tensors.items():
        name, _, kind = key.rpartition("/")
        by_weight.setdefault(name, {})[kind] = value
    for name, moments in by_weight.items():
        weight = weights[name]
        optimizer.state[weight] = {kind: value.to(weight.device, copy=True) for kind, value in moments.items()}


class ScheduledOptimizer:
    """An optimizer with a learning rate schedule and gradient clipping: AdamW, or with `muon` AdamW for all but the matrices of
    blocks. Adds weights when they start training.

    `lr_scales` are learning rates by weight name, relative to the schedule's (1 if missing). `clip` is the maximum gradient
    norm; 0 turns clipping off. Weights that start training later have a warm-up of `thaw_steps`.
    """

    def __init__(
        self,
        weights: Weights,
        schedule: RateSchedule,
        *,
        weight_decay: float,
        clip: float,
        lr_scales: Mapping[str, float] | None = None,
        muon: bool = False,
        thaw_steps: int = THAW_STEPS,
    ) -> None:
        self.weights, self.schedule, self.weight_decay = weights, schedule, weight_decay
        self.clip, self.lr_scales = clip if clip > 0 else math.inf, lr_scales or {}
        matrices = {name: weight for name, weight in weights.items() if muon and is_block_matrix(name, weight)}
        others = {name: weight for name, weight in weights.items() if name not in matrices}
        self.parts: list[tuple[Weights, torch.optim.Optimizer]] = [(others, make_optimizer(others, weight_decay, lr_scales))]
        if matrices:
            self.parts.append((matrices, Muon(make_groups(matrices, weight_decay, lr_scales))))
        self.rate, self.thaw_steps = 0.0, thaw_steps

    def begin(self, step: int) -> None:
        """Sets the learning rate of a step and adds weights that start training with it."""
        self.rate = self.schedule.at(step)
        for weights, optimizer in self.parts:
            add_thawed(optimizer, weights, self.weight_decay, self.lr_scales, step)
            set_rate(optimizer, self.rate, step, self.thaw_steps)

    def clip_gradients(self) -> Tensor:
        """Clips the gradient and returns its norm before clipping."""
        return nn.utils.clip_grad_norm_(self.weights.values(), self.clip)

    def step(self) -> None:
        for _, optimizer in self.parts:
            optimizer.step()

    def zero_grad(self) -> None:
        for _, optimizer in self.parts:
            optimizer.zero_grad(set_to_none=True)

    def state_dict(self) -> StateDict:
        states = [optimizer_state(optimizer, weights) for weights, optimizer in self.parts]
        tensors = {name: value for state in states for name, value in state.tensors.items()}
        return StateDict(tensors, dict(zip(PARTS, (state.plain["groups"] for state in states), strict=False)))

    def load_state_dict(self, state: StateDict) -> None:
        for key, (weights, optimizer) in zip(PARTS, self.parts, strict=False):
            tensors = {name: value for name, value in state.tensors.items() if name.rpartition("/")[0] in weights}
            load_optimizer(optimizer, weights, StateDict(tensors, {"groups": state.plain[key]}))
