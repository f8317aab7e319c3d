"""Gradient tracking: gradient norms by part, relative weight updates, and conflicts between tasks."""

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
from mtlkit.training.accumulation import numbers
from mtlkit.training.diagnostics.gradient_stats import (
    WHOLE,
    GradientAgreement,
    TrackedPair,
    TrackedStep,
    TrackingSummary,
    summarise,
)
from mtlkit.training.diagnostics.task_conflicts import PairGradients, Products
from mtlkit.training.losses import of_tasks
from mtlkit.training.rng import RandomState

Work = TypeVar("Work")
Values = Mapping[str, float]


class GradientTracker(Generic[Work]):
    """Tracks the gradients of every `every`-th step (0: never) without changing the training.

    At each step the loop calls `begin`; `gradients` with each micro-batch and its losses, before their backward pass; `norms`
    before clipping; `end` after the optimizer step, or `undo` if there is none. From each multiple of `every` on, the first step
    with a least-tracked task is tracked, so that all of `tasks` take turns. A tracked step compares one pair of tasks; it needs
    memory for two gradients and a copy of the trainable weights.
    """

    def __init__(
        self,
        model: nn.Module,
        tasks: Sequence[str],
        losses_of: Callable[[Work], Mapping[str, Tensor]],
        compute: Compute,
        every: int = TRACK_EVERY,
    ) -> None:
        self.tasks, self.device, self.every = tuple(tasks), compute.device, every
        weights = dict(model.named_parameters())
        parts = parts_of(weights)
        self.parts = {part: {name: weights[name] for name in parts[part]} for part in sorted(parts, key=level)}
        shared = {part: found for part, found in self.parts.items() if level(part) <= level("pooling")}
        self.pairs = PairGradients(shared, self.tasks, losses_of, compute, RandomState(model, compute.device))
        self.next, self.looks = 0, Counter[str]()
        self._clear()

    def _clear(self) -> None:
        """Resets at the start of an epoch."""
        self.steps: list[TrackedStep] = []
        self.seconds = self.total = 0.0

    @contextmanager
    def _timed(self) -> Iterator[None]:
        """Counts the time as tracking time. Waits for pending GPU work first, which is not counted."""
        self._wait()
        begun = time.perf_counter()
        yield
        self._wait()
        self.seconds += time.perf_counter() - begun

    def _wait(self) -> None:
        if self.device.type != "cpu":
            torch.accelerator.synchronize(self.device)

    def begin(self, index: int, pieces: int = 1) -> None:
        """Starts step 0, 1, ..., with `pieces` micro-batches."""
        self.begun, self.index, self.pieces, self.looking = time.perf_counter(), index, pieces, False
        self.losses: tuple[str, ...] = ()
        self.since = (self.next, self.looks.copy(), self.pairs.met.copy(), dict(self.pairs.last))

    def undo(self) -> None:
        """Cancels the current step; training may resume from before it."""
        self.next, self.looks, self.pairs.met, self.pairs.last = self.since

    def gradients(self, piece: Work, losses: Mapping[str, Tensor]) -> None:
        """Decides at the first micro-batch of a step whether to track it; if so, computes the tasks' gradients with respect to
        the shared weights. Losses of guards are ignored.
        """
        tasks = of_tasks(losses)
        self.pairs.remember(piece, tasks)
        if not self.losses and self._due(tasks):
            self.looking, self.next = True, (self.index // self.every + 1) * self.every
            self.pairs.choose(tasks)
        self.losses += tuple(losses)
        if self.looking:
            self.looks.update(list(tasks))
        if self.looking and not self._alone():
            with self._timed():
                self.pairs.hold(tasks)

    def _alone(self) -> bool:
        """Whether the step has a single loss, so that its gradient need not be computed twice."""
        return self.pieces == len(self.losses) == 1

    def _due(self, tasks: Mapping[str, Tensor]) -> bool:
        """Whether to track the step. If no step with the right task follows for a while, any step is tracked."""
        if not self.every or self.index < self.next:
            return False
        least = min((self.looks[task] for task in self.tasks), default=0)
        turn = not self.tasks or any(self.looks[task] == least for task in tasks)
        return (turn and self.pairs.ready) or self.index - self.next >= 2 * len(self.tasks)

    @torch.no_grad()
    def norms(self, weights: Mapping[str, float | Tensor] | None = None) -> None:
        """Records the gradient norm of each part after the backward pass, and copies the weights to measure their update.
        `weights` are the factors of the tasks' losses; 1 if not listed.
        """
        if not self.looking:
            return
        with self._timed():
            if self._alone():
                self.pairs.adopt(self.losses[0], (weights or {}).get(self.losses[0], 1.0))
            self.products: Products = self.pairs.compare()
            trained = {part: [one for one in weights.values() if one.grad is not None] for part, weights in self.parts.items()}
            self.trained = {part: weights for part, weights in trained.items() if weights}
            self.lengths = {part: _norm([one.grad for one in weights]) for part, weights in self.trained.items()}
            self.before = {part: [one.detach().clone() for one in weights] for part, weights in self.trained.items()}

    @torch.no_grad()
    def end(self, skipped: bool = False) -> TrackedStep | None:
        """Returns the measurements of a tracked step after the optimizer step. `skipped`: the step changed no weights."""
        found = None
        if self.looking:
            with self._timed():
                found = self._found({} if skipped else self._ratios())
            self.steps.append(found)
            self.before = {}
        self.total += time.perf_counter() - self.begun
        return found

    def _ratios(self) -> dict[str, Tensor]:
        """|w_after - w_before| / |w_before| of each part."""
        found = {}
        for part, before in self.before.items():
            moved = [new - old for new, old in zip(self.trained[part], before, strict=True)]
            found[part] = _norm(moved) / _norm(before)
        return found

    def _found(self, ratios: Mapping[str, Tensor]) -> TrackedStep:
        """All measurements, transferred to the CPU at once."""
        norms, moved, *products = numbers([self.lengths, ratios, *self.products])
        pairs = (tracked_pair(self.pairs.pair, *products),) if self.pairs.pair and products[0] else ()
        return TrackedStep(
            {part: finite(norms.get(part)) for part in self.parts},
            {part: finite(moved.get(part)) for part in self.parts},
            pairs,
        )

    def summary(self) -> TrackingSummary | None:
        """Summarises the steps since the last summary; None if none was tracked."""
        found = summarise(self.steps, self.seconds, self.total) if self.steps else None
        self._clear()
        return found

    def without(self, tasks: Collection[str]) -> None:
        """Removes tasks that have left the training from the rotation."""
        self.tasks = self.pairs.tasks = tuple(task for task in self.tasks if task not in tasks)

    def state_dict(self) -> dict[str, Any]:
        """The state for `load_state_dict`, as plain JSON, without the last batches of tasks, whose type is unknown here."""
        met = [[list(pair), count] for pair, count in self.pairs.met.items()]
        steps = [step.to_json() for step in self.steps]
        times = {"seconds": self.seconds, "total": self.total}
        return {"next": self.next, "looks": self.looks, "met": met, "steps": steps, **times}

    def load_state_dict(self, state: Mapping[str, Any], last: Mapping[str, Work]) -> None:
        """Restores the state; `last` are the last batches of tasks."""
        self.next, self.looks = state["next"], Counter(state["looks"])
        self.pairs.met = Counter({(pair[0], pair[1]): count for pair, count in state["met"]})
        self.pairs.last = dict(last)
        self.steps = [TrackedStep.from_json(step) for step in state["steps"]]
        self.seconds, self.total = state["seconds"], state["total"]


def tracked_pair(tasks: tuple[str, str], products: Values, firsts: Values, seconds: Values) -> TrackedPair:
    """Computed from a.b, a.a and b.b of each part."""
    whole = GradientAgreement.of(sum(products.values()), sum(firsts.values()), sum(seconds.values()))
    parts = {part: GradientAgreement.of(products[part], firsts[part], seconds[part]) for part in products}
    return TrackedPair(tasks, {WHOLE: whole, **parts})


def _norm(tensors: Sequence[Tensor | None]) -> Tensor:
    return nn.utils.get_total_norm([one for one in tensors if one is not None]).float()


def finite(value: float | None) -> float | None:
    return value if value is not None and isfinite(value) else None
