"""The training loop: a generator that takes a step for every piece of work and yields what happened."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from mtlkit.errors import DivergedError
from mtlkit.inference.compute import Compute
from mtlkit.training.optimizer import LearningRate, add_thawed, make_optimizer, set_rate

Work = TypeVar("Work")


@dataclass(frozen=True)
class Step(Generic[Work]):
    """What one step did. `losses` by task and `gradient_norm` (before clipping) are plain numbers; a skipped step had a
    gradient that was not finite and changed nothing."""

    index: int
    work: Work
    losses: dict[str, float]
    gradient_norm: float
    rate: float
    skipped: bool


def train(
    model: nn.Module,
    work: Iterable[Work],
    losses_of: Callable[[Work], dict[str, Tensor]],
    rate: LearningRate,
    *,
    weight_decay: float,
    clip: float,
    compute: Compute,
    multiples: Mapping[str, float] | None = None,
    describe: Callable[[Work], str] = repr,
) -> Iterator[Step[Work]]:
    """One optimiser step a piece of work: losses are added, the gradient is clipped to norm `clip`.

    `multiples` are the rates of weights by name, as multiples of the rate. A weight that is thawed on the way is taken in at the
    next step.

    Raises DivergedError before a step whose loss is not finite; `describe` then names the texts it came from.
    """
    weights, multiples = dict(model.named_parameters()), multiples or {}
    optimizer = make_optimizer(weights, weight_decay, multiples)
    for index, piece in enumerate(work):
        add_thawed(optimizer, weights, weight_decay, multiples, index)
        set_rate(optimizer, rate.at(index), index)
        with compute.autocast():
            losses = losses_of(piece)
        each = torch.stack(list(losses.values()))
        if each.requires_grad:  # all that a batch's loss depends on may be frozen for a while
            each.sum().backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(weights.values(), clip if clip > 0 else float("inf"))
        *values, length = torch.cat([each.detach(), norm.detach()[None]]).tolist()  # a GPU is waited for once a step
        for name, value in zip(losses, values, strict=True):
            if not math.isfinite(value):
                raise DivergedError(f"loss of '{name}' is {value} at step {index + 1} ({describe(piece)}); lower --learning-rate")
        skipped = not math.isfinite(length)
        if not skipped:
            optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        yield Step(index, piece, dict(zip(losses, values, strict=True)), length, rate.at(index), skipped)
