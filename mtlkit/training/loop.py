"""The training loop: a generator that takes optimizer steps and yields the result of each."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from mtlkit.errors import DivergedError
from mtlkit.inference.compute import Compute
from mtlkit.training.balancing.loss_weighting import LossWeighting
from mtlkit.training.diagnostics.gradient_stats import TrackedStep
from mtlkit.training.diagnostics.gradient_tracker import GradientTracker
from mtlkit.training.distributed.turns import Turns
from mtlkit.training.losses import NamesOf, mean_of, numbers, of_tasks
from mtlkit.training.rng import Moment
from mtlkit.training.spikes import Spike
from mtlkit.training.train_state import ModelUpdater

Work = TypeVar("Work")
Recorded = Mapping[str, float | Tensor]  # losses by name
LossesOf = Callable[[Work], Mapping[str, Tensor]]


class DivergedStep(DivergedError):
    """A step was not taken because its loss is not finite or is a spike. `index` is its number (from 0), `pieces` are its
    micro-batches, and `losses` their losses. No weight has changed; if a spike stopped the training, neither has anything else.
    """

    def __init__(self, message: str, index: int, pieces: Sequence[Any], losses: Sequence[Mapping[str, float]]) -> None:
        super().__init__(message)
        self.index, self.pieces, self.losses = index, pieces, losses


@dataclass(frozen=True)
class Step(Generic[Work]):
    """The result of a step, as plain numbers.

    `each` are the losses of every micro-batch by name, `losses` their means. `gradient_norm` is the norm before clipping, `rate`
    the learning rate, `weights` are the tasks' loss weights, and `tracked` is set if gradients were tracked. A `skipped` step
    changed no weights: its gradient was not finite, or it was a `spike`.
    """

    index: int
    pieces: tuple[Work, ...]
    each: tuple[dict[str, float], ...]
    losses: dict[str, float]
    gradient_norm: float
    rate: float
    skipped: bool
    weights: dict[str, float] = field(default_factory=dict)
    tracked: TrackedStep | None = None
    spike: Spike | None = None

    @property
    def figures(self) -> dict[str, float]:
        """What is shown of every step besides its losses, by name."""
        return {"learning rate": self.rate, "gradient norm": self.gradient_norm}


def train(
    steps: Iterable[Sequence[Work]],
    losses_of: LossesOf[Work],
    updater: ModelUpdater,
    weighting: LossWeighting | None = None,
    tracker: GradientTracker[Work] | None = None,
    *,
    first: int = 0,
    names_of: NamesOf[Work] | None = None,
    describe: Callable[[Work], str] = repr,
    turns: Turns[Work] | None = None,
) -> Iterator[Step[Work]]:
    """Takes an optimizer step for each group of micro-batches, numbered from `first`, and yields its result. In several
    processes, all take the same steps, and `turns` says which micro-batches this one computes (None: all).

    The losses of a micro-batch are combined by `weighting` (None: their sum). The gradient of a task is its mean over the
    micro-batches that contain it according to `names_of` (None: all do). The `tracker` measures gradients without changing the
    training.

    Raises DivergedStep instead of taking a step whose loss is not finite, or which is a spike and the updater stops on spikes.
    `describe` names the rows of a micro-batch in the error message.
    """
    loop = TrainLoop(losses_of, updater, weighting or LossWeighting(), tracker, names_of, describe, turns or Turns[Work]())
    for index, pieces in enumerate(steps, first):
        yield loop.train_step(index, tuple(pieces))


@dataclass(frozen=True)
class TrainLoop(Generic[Work]):
    """What every step needs; see `train`."""

    losses_of: LossesOf[Work]
    updater: ModelUpdater
    weighting: LossWeighting
    tracker: GradientTracker[Work] | None
    names_of: NamesOf[Work] | None
    describe: Callable[[Work], str]
    turns: Turns[Work]

    def train_step(self, index: int, pieces: tuple[Work, ...]) -> Step[Work]:
        """Takes step number `index`. Raises DivergedStep."""
        optimizer, weighting, tracker = self.updater.optimizer, self.weighting, self.tracker
        before = (self.updater.random.now(), weighting.state_dict()) if self.updater.stops_on_spike else None
        optimizer.begin(index)
        own, recorded, moments = self._add_gradients(index, pieces)
        recorded = self.turns.exchange(recorded, weighting)
        applied = weighting.settle()
        if tracker:
            tracker.norms(applied)
        gradient_norm = optimizer.clip_gradients()
        *losses, used, total = numbers([*recorded, applied, {"norm": gradient_norm}])
        means, norm = mean_of(losses), total["norm"]
        problem, spike = self._problem(index, pieces, losses, means, norm)
        if problem:
            self._undo(before)
            raise DivergedStep(problem, index, pieces, losses)
        skipped = not math.isfinite(norm)
        if self.updater.spikes and not skipped:
            self.updater.spikes.add(means, norm)
            skipped = bool(spike)
        if not skipped:
            optimizer.step()
        optimizer.zero_grad()
        if not skipped:
            after = self.turns.losses_after(self._losses_after(own, moments))
            weighting.learn(of_tasks(means), of_tasks(mean_of(numbers(after))), used)
        tracked = tracker.end(skipped) if tracker else None
        weights = {} if skipped else used
        return Step(index, pieces, tuple(losses), means, norm, optimizer.rate, skipped, weights, tracked, spike)

    def _add_gradients(self, index: int, pieces: tuple[Work, ...]) -> tuple[list[Work], Sequence[Recorded], list[Moment]]:
        """Adds up the gradients of the micro-batches that this process computes. Returns these, their losses, and the random
        numbers of each if the weighting compares losses before and after the step."""
        shares = self.turns.shares(pieces, self.names_of)
        own: list[Work] = []
        recorded: list[Recorded] = []
        moments: list[Moment] = []
        if self.tracker:
            self.tracker.begin(index, len(pieces))
        for piece in self.turns.own(index, pieces):
            own.append(piece)
            if self.weighting.compares:
                moments.append(self.updater.random.now())
            losses = _losses(self.losses_of, piece, self.updater.compute)
            if self.tracker:
                self.tracker.gradients(piece, losses)
            self.weighting.backward(losses, shares.of(losses))
            recorded.append({name: loss.detach() for name, loss in losses.items()})
            del losses  # frees its graph before the next micro-batch builds another
        return own, recorded, moments

    def _problem(
        self, index: int, pieces: Sequence[Work], losses: Sequence[Mapping[str, float]], means: Mapping[str, float], norm: float
    ) -> tuple[str, Spike | None]:
        """Why the step must not be taken, empty if it may, and the spike that it is."""
        problem = _not_finite(losses, pieces, index, self.describe)
        if problem or not self.updater.spikes or not math.isfinite(norm):
            return problem, None
        spike = self.updater.spikes.detect(means, norm)
        stops = spike and self.updater.stops_on_spike
        return f"step {index + 1} was not taken: {spike}" if stops else "", spike

    def _undo(self, before: tuple[Moment, dict[str, Any]] | None) -> None:
        """Takes back what a step has changed before it was found to be a problem."""
        if before:
            moment, weighting_state = before
            self.updater.random.back_to(moment)
            self.weighting.load_state_dict(weighting_state)
        if self.tracker:
            self.tracker.undo()

    def _losses_after(self, pieces: Sequence[Work], moments: Sequence[Moment]) -> list[Mapping[str, Tensor]]:
        """The losses of micro-batches after the step, with the same dropout as before it."""
        after = []
        for piece, moment in zip(pieces, moments, strict=False):
            with self.updater.random.again(moment):
                after.append(_losses_again(self.losses_of, piece, self.updater.compute))
        return after


def _losses(losses_of: LossesOf[Work], piece: Work, compute: Compute) -> Mapping[str, Tensor]:
    with compute.autocast():
        return losses_of(piece)


@torch.no_grad()
def _losses_again(losses_of: LossesOf[Work], piece: Work, compute: Compute) -> Mapping[str, Tensor]:
    """The losses of a micro-batch after the step."""
    return _losses(losses_of, piece, compute)


def _not_finite(
    losses_of_pieces: Sequence[Mapping[str, float]], pieces: Sequence[Work], index: int, describe: Callable[[Work], str]
) -> str:
    """An error message if a loss is not finite; empty otherwise."""
    for losses, piece in zip(losses_of_pieces, pieces, strict=True):
        for name, value in losses.items():
            if not math.isfinite(value):
                return f"loss of '{name}' is {value} at step {index + 1} ({describe(piece)}); lower --learning-rate"
    return ""
