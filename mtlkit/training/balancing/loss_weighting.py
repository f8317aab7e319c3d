"""Loss weighting: the base class of all methods, and the weighted sum of losses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from mtlkit.training.distributed.ranks import Ranks
from mtlkit.training.losses import mean_of, numbers, of_tasks

Weights = Mapping[str, float | Tensor]
State = dict[str, Any]  # plain JSON


@dataclass
class RunningMeans:
    """Means of values by name."""

    sums: dict[str, float]
    counts: dict[str, int]

    def __init__(self, sums: Mapping[str, float] | None = None, counts: Mapping[str, int] | None = None) -> None:
        self.sums, self.counts = dict(sums or {}), dict(counts or {})

    def add(self, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
            self.counts[name] = self.counts.get(name, 0) + 1

    def of_each(self) -> dict[str, float]:
        return {name: total / self.counts[name] for name, total in self.sums.items()}


class LossWeighting:
    """The weighted sum of the losses, with the weights in `fixed` (1 if missing); base class of methods that change the weights.

    A step calls `backward` for each micro-batch, then `settle`, and `learn` unless the step is skipped. `compares`: `learn` also
    needs the losses of the same texts after the step. `changes`: the weights change during training, so they are reported.
    """

    compares: ClassVar[bool] = False
    changes: ClassVar[bool] = False

    def __init__(self, fixed: Mapping[str, float] | None = None) -> None:
        self.fixed = fixed or {}
        self.epoch = RunningMeans()  # of the weights of all steps in this epoch
        self._applied: list[Weights] = []

    def weights(self, losses: Mapping[str, Tensor]) -> Weights:
        """The weight of each task, given the losses of a micro-batch by task."""
        return {name: self.fixed.get(name, 1.0) for name in losses}

    def backward(self, losses: Mapping[str, Tensor], shares: Mapping[str, float]) -> None:
        """Accumulates the gradients of a micro-batch. `shares` are the weights of its losses in the means over the step: one half
        for a task in two micro-batches.
        """
        weights = self.weights(of_tasks(losses))
        add_up([weights.get(name, 1.0) * shares[name] * loss for name, loss in losses.items()])
        self._applied.append(weights)

    def combine(self, ranks: Ranks) -> None:
        """In several processes, called before `settle`: gets what the others know of the step."""
        self._applied = [dict(weights) for weights in ranks.in_order(numbers(self._applied))]

    def settle(self) -> Weights:
        """Completes the gradient of a step. Returns the weight of each of its tasks, averaged over micro-batches."""
        applied, self._applied = self._applied, []
        return mean_of(applied)

    def learn(self, losses: Mapping[str, float], after: Mapping[str, float], weights: Mapping[str, float]) -> None:
        """Updates the method after a step: from its `losses` by task, the losses of the same texts `after` it (if `compares`),
        and the weights that `settle` returned.
        """
        self.epoch.add(weights)

    def end_epoch(self) -> None:
        """Starts a new epoch: resets the mean weights."""
        self.epoch = RunningMeans()

    def shown(self) -> dict[str, float]:
        """The weight of each task, averaged over the steps of this epoch."""
        return self.epoch.of_each()

    def state_dict(self) -> State:
        """The state for `load_state_dict`."""
        return {"epoch": asdict(self.epoch)}

    def load_state_dict(self, state: State) -> None:
        self.epoch = RunningMeans(**state["epoch"])


def add_up(terms: Iterable[Tensor]) -> None:
    """Runs the backward pass of a sum of scalars. Does nothing if none of them requires a gradient."""
    trainable = [term for term in terms if term.requires_grad]
    if trainable:
        torch.stack(trainable).sum().backward()  # type: ignore[no-untyped-call]
