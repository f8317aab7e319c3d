"""The gradients of two tasks at the same weights, held against each other."""

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
    """Compares one pair of tasks at a time, all pairs in turn, over the weights that they share, given by part.

    Where a step holds one of the two alone, as under `round-robin`, the other's gradient is worked out anew on its last batch.
    One kept since then would seem to conflict for no other reason than the step in between, which overshot a little. Two
    gradients are in memory at most.
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
        self.last.update(dict.fromkeys(tasks, piece))

    @property
    def ready(self) -> bool:
        """Whether every task was met."""
        return self.last.keys() >= set(self.tasks)

    def choose(self, tasks: Iterable[str]) -> None:
        """The pair with one of these tasks that was compared least; none where a task is alone or nothing shared trains."""
        self.held, here = {}, set(tasks)
        pairs = [pair for pair in combinations(self.tasks, 2) if here & set(pair) and self.last.keys() >= set(pair)]
        self.pair = min(pairs, key=self.met.__getitem__, default=None) if self._trained() else None

    def _trained(self) -> dict[str, nn.Parameter]:
        return {name: one for part in self.shared.values() for name, one in part.items() if one.requires_grad}

    def hold(self, losses: Mapping[str, Tensor]) -> None:
        """Keeps the gradients of those losses that are of the pair. Their graph stays, and no weight's `grad` is touched."""
        weights = self._trained()
        for task in self.pair or ():
            if task in losses and task not in self.held and losses[task].requires_grad:
                found = torch.autograd.grad(losses[task], list(weights.values()), retain_graph=True, allow_unused=True)
                self.held[task] = {name: one for name, one in zip(weights, found, strict=True) if one is not None}

    def adopt(self, task: str, weight: float | Tensor) -> None:
        """The same for a task of which the weights have the gradient already, times `weight`."""
        if task in (self.pair or ()):
            found = {name: one.grad for name, one in self._trained().items()}
            self.held[task] = {name: grad / weight for name, grad in found.items() if grad is not None}

    def compare(self) -> Products:
        """The products of the pair's gradients, over the weights that both have one of. To be called when the graphs of the step
        are gone, as it may make another."""
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
        """The losses of a task's last batch at the present weights. What is random goes on as if this had not been."""
        with self.random.again(self.random.now()), torch.enable_grad(), self.compute.autocast():
            return self.losses_of(self.last[task])


def dot(left: Sequence[Tensor], right: Sequence[Tensor]) -> Tensor:
    return torch.stack([one @ other for one, other in zip(left, right, strict=True)]).sum()
