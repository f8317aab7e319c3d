"""Gradient tracking: gradient norms of each part, relative weight updates, and conflicts between tasks."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import isfinite
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from mtlkit.config.task_training import TRACK_EVERY
from mtlkit.inference.compute import Compute
from mtlkit.model.weight_names import level, parts_of
from mtlkit.training.diagnostics.gradient_stats import (
    WHOLE,
    GradientAgreement,
    TrackedPair,
    TrackedStep,
    TrackingSummary,
    summarise,
)
from mtlkit.training.diagnostics.rotation import TrackingRotation
from mtlkit.training.diagnostics.task_conflicts import PairGradients, Products
from mtlkit.training.losses import numbers, of_tasks
from mtlkit.training.rng import RandomState

Work = TypeVar("Work")
Values = Mapping[str, float]


class GradientTracker(Generic[Work]):
    """Tracks the gradients of about every `every`-th step (0: none) without changing the training.

    In each step, the loop calls `begin`; `gradients` for each micro-batch before its backward pass; `norms` before clipping;
    and `end` after the optimizer step, or `undo` if there is none. A tracked step compares the gradients of one pair of
    `tasks`. It needs memory for two gradients and a copy of the trainable weights.
    """

    def __init__(
        self,
        model: nn.Module,
        tasks: Sequence[str],
        losses_of: Callable[[Work], Mapping[str, Tensor]],
        compute: Compute,
        every: int = TRACK_EVERY,
    ) -> None:
        self.device, self.rotation = compute.device, TrackingRotation(tasks, every)
        weights = dict(model.named_parameters())
        parts = parts_of(weights)
        self.parts = {part: {name: weights[name] for name in parts[part]} for part in sorted(parts, key=level)}
        shared = {part: own for part, own in self.parts.items() if level(part) <= level("pooling") or part == "adapter"}
        self.pairs = PairGradients(shared, self.rotation.tasks, losses_of, compute, RandomState(model, compute.device))
        self._clear()

    def _clear(self) -> None:
        """Resets at the start of an epoch."""
        self.steps: list[TrackedStep] = []
        self.seconds = self.total = 0.0

    @contextmanager
    def _timed(self) -> Iterator[None]:
        """Counts the time as spent on tracking, without GPU work that is still pending at the start."""
        self._wait()
        started = time.perf_counter()
        yield
        self._wait()
        self.seconds += time.perf_counter() - started

    def _wait(self) -> None:
        if self.device.type != "cpu":
            torch.accelerator.synchronize(self.device)

    def begin(self, index: int, pieces: int = 1) -> None:
        """Starts step 0, 1, ..., with `pieces` micro-batches."""
        self.started, self.index, self.pieces, self.tracking = time.perf_counter(), index, pieces, False
        self.losses: tuple[str, ...] = ()
        self._before_step = (self.rotation.state_dict(), self.pairs.met.copy(), dict(self.pairs.last))

    def undo(self) -> None:
        """Restores the state before the current step, from which training may resume."""
        rotation, self.pairs.met, self.pairs.last = self._before_step
        self.rotation.load_state_dict(rotation)

    def gradients(self, piece: Work, losses: Mapping[str, Tensor]) -> None:
        """Decides at the first micro-batch of a step whether to track it. If so, computes gradients of the losses with respect to
        the shared weights, except those of guards.
        """
        tasks = of_tasks(losses)
        self.pairs.remember(piece, tasks)
        if not self.losses and self.rotation.due(self.index, tasks, ready=self.pairs.ready):
            self.tracking = True
            self.rotation.track(self.index)
            self.pairs.choose(tasks)
        self.losses += tuple(losses)
        if self.tracking:
            self.rotation.count(tasks)
        if self.tracking and not self._has_single_loss():
            with self._timed():
                self.pairs.hold(tasks)

    def _has_single_loss(self) -> bool:
        """Whether the gradient of the step is that of one loss, so that it need not be computed twice."""
        return self.pieces == len(self.losses) == 1

    @torch.no_grad()
    def norms(self, weights: Mapping[str, float | Tensor] | None = None) -> None:
        """Records the gradient norm of each part after the backward pass, and copies the weights to measure their update.
        `weights` are the weights of the tasks' losses (1 if missing).
        """
        if not self.tracking:
            return
        with self._timed():
            if self._has_single_loss():
                self.pairs.adopt(self.losses[0], (weights or {}).get(self.losses[0], 1.0))
            self.products: Products = self.pairs.compare()
            trained = {
                part: [parameter for parameter in weights.values() if parameter.grad is not None]
                for part, weights in self.parts.items()
            }
            self.trained = {part: weights for part, weights in trained.items() if weights}
            self.lengths = {part: _norm([weight.grad for weight in weights]) for part, weights in self.trained.items()}
            self.before = {part: [weight.detach().clone() for weight in weights] for part, weights in self.trained.items()}

    @torch.no_grad()
    def end(self, skipped: bool = False) -> TrackedStep | None:
        """Returns the measurements of a tracked step (None for other steps). `skipped`: the step changed no weights."""
        tracked = None
        if self.tracking:
            with self._timed():
                tracked = self._measured({} if skipped else self._ratios())
            self.steps.append(tracked)
            self.before = {}
        self.total += time.perf_counter() - self.started
        return tracked

    def _ratios(self) -> dict[str, Tensor]:
        """|w_after - w_before| / |w_before| of each part."""
        ratios = {}
        for part, before in self.before.items():
            update = [new - old for new, old in zip(self.trained[part], before, strict=True)]
            ratios[part] = _norm(update) / _norm(before)
        return ratios

    def _measured(self, ratios: Mapping[str, Tensor]) -> TrackedStep:
        """All measurements of the step, transferred to the CPU at once."""
        norms, updates, *products = numbers([self.lengths, ratios, *self.products])
        pairs = (tracked_pair(self.pairs.pair, *products),) if self.pairs.pair and products[0] else ()
        return TrackedStep(
            {part: finite(norms.get(part)) for part in self.parts},
            {part: finite(updates.get(part)) for part in self.parts},
            pairs,
        )

    def summary(self) -> TrackingSummary | None:
        """Summarises the steps since the last summary; None if none was tracked."""
        summary = summarise(self.steps, self.seconds, self.total) if self.steps else None
        self._clear()
        return summary

    def without(self, tasks: Collection[str]) -> None:
        """Removes tasks that have left the training from the rotation."""
        self.rotation.tasks = self.pairs.tasks = tuple(task for task in self.rotation.tasks if task not in tasks)

    def state_dict(self) -> dict[str, Any]:
        """The state for `load_state_dict`, as plain JSON; without the last batches of tasks, whose type is unknown here."""
        met = [[list(pair), count] for pair, count in self.pairs.met.items()]
        steps = [step.to_json() for step in self.steps]
        times = {"seconds": self.seconds, "total": self.total}
        return {**self.rotation.state_dict(), "met": met, "steps": steps, **times}

    def load_state_dict(self, state: Mapping[str, Any], last: Mapping[str, Work]) -> None:
        """Restores the state; `last` are the last batches of tasks."""
        self.rotation.load_state_dict(state)
        self.pairs.met = Counter({(pair[0], pair[1]): count for pair, count in state["met"]})
        self.pairs.last = dict(last)
        self.steps = [TrackedStep.from_json(step) for step in state["steps"]]
        self.seconds, self.total = state["seconds"], state["total"]


def tracked_pair(tasks: tuple[str, str], products: Values, firsts: Values, seconds: Values) -> TrackedPair:
    """The agreement of two tasks, from the inner products a.b, a.a and b.b of their gradients in each part."""
    whole = GradientAgreement.of(sum(products.values()), sum(firsts.values()), sum(seconds.values()))
    parts = {part: GradientAgreement.of(products[part], firsts[part], seconds[part]) for part in products}
    return TrackedPair(tasks, {WHOLE: whole, **parts})


def _norm(tensors: Sequence[Tensor | None]) -> Tensor:
    return nn.utils.get_total_norm([tensor for tensor in tensors if tensor is not None]).float()


def finite(value: float | None) -> float | None:
    """The value, or None if it is not finite."""
    return value if value is not None and isfinite(value) else None
