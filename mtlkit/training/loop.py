"""The training loop: a generator that takes a step for every piece of work, or for several, and yields what happened."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from mtlkit.errors import DivergedError
from mtlkit.inference.compute import Compute
from mtlkit.training.accumulation import LossShares, NamesOf, groups, mean_of, numbers
from mtlkit.training.balancing.loss_weighting import LossWeighting
from mtlkit.training.diagnostics.gradient_stats import TrackedStep
from mtlkit.training.diagnostics.gradient_tracker import GradientTracker
from mtlkit.training.losses import of_tasks
from mtlkit.training.optimizer import add_thawed, make_optimizer, set_rate
from mtlkit.training.rng import Moment, RandomState
from mtlkit.training.spikes import LossSpikes

Work = TypeVar("Work")
LossesOf = Callable[[Work], Mapping[str, Tensor]]


class RateSchedule(Protocol):
    """The learning rate of step 0, 1, ..."""

    def at(self, step: int) -> float: ...


class DivergedStep(DivergedError):
    """A step that was not taken because of its numbers. `index` is its number from 0, `pieces` its work, `losses` theirs. No
    weight has moved; where a spike ends the training, everything stands as it did before the step."""

    def __init__(self, message: str, index: int, pieces: Sequence[Any], losses: Sequence[Mapping[str, float]]) -> None:
        super().__init__(message)
        self.index, self.pieces, self.losses = index, pieces, losses


@dataclass(frozen=True)
class LoopState:
    """A training that goes on: the optimizer, which may have steps behind it, the number of the next step, and what tells spikes
    (None: nothing does); `stop`: a spike ends the training, otherwise its step is skipped; `random`: the numbers it draws."""

    optimizer: AdamW
    index: int = 0
    spikes: LossSpikes | None = None
    stop: bool = False
    random: RandomState | None = None


@dataclass(frozen=True)
class Step(Generic[Work]):
    """What one step did. All are plain numbers: `each` are the losses of every piece of work by name, `losses` their means,
    `gradient_norm` is before clipping, `weights` are those of the balance, by task, `tracked` is what a look at the gradients
    found. A skipped step changed nothing: its gradient was not finite, or it was a `spike`, as that says."""

    index: int
    pieces: tuple[Work, ...]
    each: tuple[dict[str, float], ...]
    losses: dict[str, float]
    gradient_norm: float
    rate: float
    skipped: bool
    weights: dict[str, float] = field(default_factory=dict)
    tracked: TrackedStep | None = None
    spike: str = ""

    @property
    def work(self) -> Work:
        """The piece of a step that takes one."""
        (piece,) = self.pieces
        return piece


def train(
    model: nn.Module,
    work: Iterable[Work],
    losses_of: LossesOf[Work],
    rate: RateSchedule,
    *,
    weight_decay: float,
    clip: float,
    compute: Compute,
    lr_scales: Mapping[str, float] | None = None,
    describe: Callable[[Work], str] = repr,
    balance: LossWeighting | None = None,
    takes: Iterable[int] = repeat(1),
    names_of: NamesOf[Work] | None = None,
    tracker: GradientTracker[Work] | None = None,
    begun: LoopState | None = None,
) -> Iterator[Step[Work]]:
    """One optimiser step a piece of work: losses are weighed by the balance (None: all alike) and added, the gradient is
    clipped to norm `clip`.

    `lr_scales` are the rates of weights by name, as multiples of the rate. A weight that is thawed on the way is taken in at the
    next step. `takes` says how many pieces each step takes: the gradient of a task is then the mean over those of them that
    hold it, by `names_of` (None: all do). The `tracker` looks at gradients now and then and changes nothing. `work` and `takes`
    are those from the next step of what is `begun` on (None: from the first).

    Raises DivergedStep before a step whose loss is not finite, or is a spike that is to stop the training; `describe` then names
    the texts it came from.
    """
    weights, lr_scales, balance = dict(model.named_parameters()), lr_scales or {}, balance or LossWeighting()
    begun = begun or LoopState(make_optimizer(weights, weight_decay, lr_scales))
    optimizer, random = begun.optimizer, begun.random or RandomState(model, compute.device)
    for index, pieces in enumerate(groups(work, takes), begun.index):
        before = (random.now(), balance.state()) if begun.stop else None
        add_thawed(optimizer, weights, weight_decay, lr_scales, index)
        set_rate(optimizer, rate.at(index), index)
        shares = LossShares(pieces, names_of)
        found: list[Mapping[str, Tensor]] = []
        moments: list[Moment] = []
        if tracker:
            tracker.begin(index, len(pieces))
        for piece in pieces:
            if balance.compares:
                moments.append(random.now())
            losses = _losses(losses_of, piece, compute)
            if tracker:
                tracker.gradients(piece, losses)
            balance.backward(losses, shares.of(losses))
            found.append({name: loss.detach() for name, loss in losses.items()})
            del losses  # and its graph, before the next piece makes another
        applied = balance.settle()
        if tracker:
            tracker.norms(applied)
        norm = nn.utils.clip_grad_norm_(weights.values(), clip if clip > 0 else float("inf"))
        *each, used, total = numbers([*found, applied, {"norm": norm}])
        means, skipped, spike = mean_of(each), not math.isfinite(total["norm"]), ""
        wrong = _not_finite(each, pieces, index, describe)
        if begun.spikes and not wrong and not skipped:
            spike = begun.spikes.found(means, total["norm"])
            wrong = f"step {index + 1} was not taken: {spike}" if spike and begun.stop else ""
        if wrong:
            if before:
                moment, weighed = before
                random.back_to(moment)
                balance.load(weighed)
            if tracker:
                tracker.undo()
            raise DivergedStep(wrong, index, pieces, each)
        if begun.spikes and not skipped:
            begun.spikes.add(means, total["norm"])
            skipped = bool(spike)
        if not skipped:
            optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if not skipped:
            after = []
            for piece, moment in zip(pieces, moments, strict=False):
                with random.again(moment):  # the dropout that it had before
                    after.append(_losses_again(losses_of, piece, compute))
            balance.learn(of_tasks(means), of_tasks(mean_of(numbers(after))), used)
        tracked = tracker.end(skipped) if tracker else None
        norm_now, rate_now, weights_now = total["norm"], rate.at(index), {} if skipped else used
        yield Step(index, pieces, tuple(each), means, norm_now, rate_now, skipped, weights_now, tracked, spike)


def _losses(losses_of: LossesOf[Work], piece: Work, compute: Compute) -> Mapping[str, Tensor]:
    with compute.autocast():
        return losses_of(piece)


@torch.no_grad()
def _losses_again(losses_of: LossesOf[Work], piece: Work, compute: Compute) -> Mapping[str, Tensor]:
    """The losses of a piece of work after the step."""
    return _losses(losses_of, piece, compute)


def _not_finite(each: Sequence[Mapping[str, float]], pieces: Sequence[Work], index: int, describe: Callable[[Work], str]) -> str:
    """Which loss is not finite, in words; nothing where all are."""
    for losses, piece in zip(each, pieces, strict=True):
        for name, value in losses.items():
            if not math.isfinite(value):
                return f"loss of '{name}' is {value} at step {index + 1} ({describe(piece)}); lower --learning-rate"
    return ""
