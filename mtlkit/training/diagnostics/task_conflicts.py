"""Compares the gradients of two tasks with respect to the same weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from mtlkit.inference.compute import Compute
from mtlkit.training.rng import RandomState

Work = TypeVar("Work")
Pair = tuple[str, str]
Products = tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]  # a.b, a.a and b.b of each part


class PairGradients(Generic[Work]):
    """Compares the gradients of one pair of tasks at a time, in rotation, with respect to the shared weights, grouped by part.

    If a step contains only one of the two tasks, as with `round-robin`, the gradient of the other is recomputed on its last batch
    at the current weights: one from an earlier step would appear to conflict merely because of the steps in between. At most two
    gradients are in memory.
    """

    def __init__(
        self,
        shared: Mapping[str, Mapping[str, nn.Parameter]],
        tasks: Sequence[str],
        losses_of: Callable[[Work], Mapping[str, Tensor]],
        compute: Compute,
        random: RandomState,
    ) -> None:
        self.shared, self.tasks, self.losses_of, self.compute, self.random = shared, tasks, losses_of, compute, random
        self.last: dict[str, Work] = {}
        self.met: Counter[Pair] = Counter()
        self.pair: Pair | None = None
        self.held: dict[str, dict[str, Tensor]] = {}

    def remember(self, piece: Work, tasks: Iterable[str]) -> None:
        """Records a micro-batch as the last one of its tasks."""
        self.last.update(dict.fromkeys(tasks, piece))

    @property
    def ready(self) -> bool:
        """Whether every task has had a batch."""
        return self.last.keys() >= set(self.tasks)

    def choose(self, tasks: Iterable[str]) -> None:
        """Chooses the least compared pair that includes one of these tasks; none if there is only one task, or if no shared
        weight trains.
        """
        self.held, present = {}, set(tasks)
        pairs = [pair for pair in combinations(self.tasks, 2) if present & set(pair) and self.last.keys() >= set(pair)]
        self.pair = min(pairs, key=self.met.__getitem__, default=None) if self._trained() else None

    def _trained(self) -> dict[str, nn.Parameter]:
        return {name: weight for part in self.shared.values() for name, weight in part.items() if weight.requires_grad}

    def hold(self, losses: Mapping[str, Tensor]) -> None:
        """Stores the gradients of those `losses` that belong to the pair. Retains the graph; `grad` is unchanged."""
        weights = self._trained()
        for task in self.pair or ():
            if task in losses and task not in self.held and losses[task].requires_grad:
                gradients = torch.autograd.grad(losses[task], list(weights.values()), retain_graph=True, allow_unused=True)
                by_name = zip(weights, gradients, strict=True)
                self.held[task] = {name: gradient for name, gradient in by_name if gradient is not None}

    def adopt(self, task: str, weight: float | Tensor) -> None:
        """Like `hold`, for a task whose gradient, times `weight`, is already in the weights' `grad`."""
        if task in (self.pair or ()):
            gradients = {name: parameter.grad for name, parameter in self._trained().items()}
            self.held[task] = {name: gradient / weight for name, gradient in gradients.items() if gradient is not None}

    def compare(self) -> Products:
        """Inner products of the pair's gradients, over the weights for which both are defined; empty if no pair was chosen. May
        run another forward pass, so call it after the graphs of the step are freed.
        """
        for task in self.pair or ():
            if task not in self.held:
                self.hold(self._again(task))
        dots, firsts, seconds = dict[str, Tensor](), dict[str, Tensor](), dict[str, Tensor]()
        if self.pair and len(self.held) == 2:
            self.met[self.pair] += 1
            first, second = (self.held[task] for task in self.pair)
            for part, weights in self.shared.items():
                names = [name for name in weights if name in first and name in second]
                if names:
                    a, b = ([side[name].flatten().float() for name in names] for side in (first, second))
                    dots[part], firsts[part], seconds[part] = dot(a, b), dot(a, a), dot(b, b)
        self.held = {}
        return dots, firsts, seconds

    def _again(self, task: str) -> Mapping[str, Tensor]:
        """The losses of a task's last batch at the current weights. Leaves the random state unchanged."""
        with self.random.again(self.random.now()), torch.enable_grad(), self.compute.autocast():
            return self.losses_of(self.last[task])


def dot(left: Sequence[Tensor], right: Sequence[Tensor]) -> Tensor:
    return torch.stack([first @ second for first, second in zip(left, right, strict=True)]).sum()
