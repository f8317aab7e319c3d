"""Loss weighting methods, one class each; those that use gradients are in `gradient_methods.py`.

Learned weights are not part of the model: they are trained here, by a separate Adam without weight decay, on values that a step
computes anyway.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any, ClassVar

import torch
from torch import Tensor

from mtlkit.config.architecture import Kind, TaskSpec
from mtlkit.tasks.base import kind_of
from mtlkit.training.accumulation import mean_of
from mtlkit.training.balancing.plain_numbers import AdamScalar, RunningMeans, softmax
from mtlkit.training.losses import of_tasks

Weights = Mapping[str, float | Tensor]
State = dict[str, Any]  # plain JSON

EPSILON = 1e-8  # keeps logarithms and ratios of losses finite


class LossWeighting:
    """The weighted sum of the losses; base class of methods that change the weights.

    A step calls `backward` for each micro-batch, then `settle`, and `learn` unless the step is skipped. `compares`: learning also
    needs the losses of the same texts after the step. `changes`: the weights change during training and are reported.
    """

    compares: ClassVar[bool] = False
    changes: ClassVar[bool] = False

    def __init__(self, fixed: Mapping[str, float] | None = None) -> None:
        self.fixed = fixed or {}
        self.epoch = RunningMeans()  # of the weights of all steps in this epoch
        self._applied: list[Weights] = []

    def weights(self, losses: Mapping[str, Tensor]) -> Weights:
        """The factor for each task's loss, given the losses of a micro-batch."""
        return {name: self.fixed.get(name, 1.0) for name in losses}

    def backward(self, losses: Mapping[str, Tensor], shares: Mapping[str, float]) -> None:
        """Accumulates the gradients of a micro-batch. `shares` are the fractions that it contributes to the step's losses, by
        name: one half for a task that is in two micro-batches of the step.
        """
        weights = self.weights(of_tasks(losses))
        add_up([weights.get(name, 1.0) * shares[name] * loss for name, loss in losses.items()])
        self._applied.append(weights)

    def settle(self) -> Weights:
        """Finishes the gradient of a step. Returns the weight of each of its tasks, averaged over micro-batches."""
        applied, self._applied = self._applied, []
        return mean_of(applied)

    def learn(self, losses: Mapping[str, float], after: Mapping[str, float], weights: Mapping[str, float]) -> None:
        """Updates after a step, from its losses by task, the losses of the same texts now (if `compares`), and the result of
        `settle`.
        """
        self.epoch.add(weights)

    def end_epoch(self) -> None:
        """Resets the mean weights at the end of an epoch."""
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
    """Adds the gradient of a sum. Does nothing if everything that the losses depend on is frozen."""
    found = [term for term in terms if term.requires_grad]
    if found:
        torch.stack(found).sum().backward()  # type: ignore[no-untyped-call]


class LearnedWeighting(LossWeighting):
    """One learned number per task; a step updates those of its tasks."""

    changes = True
    rate: ClassVar[float]

    def __init__(self, tasks: Iterable[str]) -> None:
        super().__init__()
        self.learned = {name: AdamScalar() for name in tasks}

    def state_dict(self) -> State:
        return {**super().state_dict(), "learned": {name: asdict(one) for name, one in self.learned.items()}}

    def load_state_dict(self, state: State) -> None:
        super().load_state_dict(state)
        self.learned = {name: AdamScalar(**one) for name, one in state["learned"].items()}


class UncertaintyWeighting(LearnedWeighting):
    """Homoscedastic uncertainty (Kendall, Gal & Cipolla 2018): sum_k a_k exp(-s_k) L_k + s_k / 2 with s_k the log variance of
    task k, learned, initially 0. a_k is 1 for a cross-entropy (equation 10) and 1/2 for a squared error (equation 7).
    """

    rate = 0.01

    def __init__(self, kinds: Mapping[str, Kind]) -> None:
        super().__init__(kinds)
        self.factors = {name: kind_of(kind).loss_factor for name, kind in kinds.items()}

    def weights(self, losses: Mapping[str, Tensor]) -> Weights:
        return {name: self._weight(name) for name in losses}

    def _weight(self, name: str) -> float:
        return self.factors[name] * math.exp(-self.learned[name].value)

    def learn(self, losses: Mapping[str, float], after: Mapping[str, float], weights: Mapping[str, float]) -> None:
        super().learn(losses, after, weights)
        for name, loss in losses.items():
            self.learned[name].move(0.5 - self._weight(name) * loss, self.rate)


class DWA(LossWeighting):
    """Dynamic weight average (Liu, Johns & Davison 2019): w_k = K exp(r_k / T) / sum_i exp(r_i / T), T = 2, with r_k the ratio of
    task k's mean loss in the last epoch to that in the epoch before. 1 in the first two epochs.
    """

    changes = True
    temperature = 2.0

    def __init__(self) -> None:
        super().__init__()
        self.losses = RunningMeans()
        self.ended: list[dict[str, float]] = []

    def weights(self, losses: Mapping[str, Tensor]) -> Weights:
        if len(self.ended) < 2:
            return dict.fromkeys(losses, 1.0)
        before, last = self.ended
        shares = softmax({name: last[name] / (before[name] + EPSILON) / self.temperature for name in last if name in before})
        return {name: len(shares) * shares[name] if name in shares else 1.0 for name in losses}

    def learn(self, losses: Mapping[str, float], after: Mapping[str, float], weights: Mapping[str, float]) -> None:
        super().learn(losses, after, weights)
        self.losses.add(losses)

    def end_epoch(self) -> None:
        super().end_epoch()
        self.ended = [*self.ended, self.losses.of_each()][-2:]
        self.losses = RunningMeans()

    def state_dict(self) -> State:
        return {**super().state_dict(), "losses": asdict(self.losses), "ended": self.ended}

    def load_state_dict(self, state: State) -> None:
        super().load_state_dict(state)
        self.losses, self.ended = RunningMeans(**state["losses"]), list(state["ended"])


class FAMO(LearnedWeighting):
    """Fast adaptive multitask optimization (Liu, Feng, Stone & Liu 2023): all losses should decrease at the same rate.

    The gradient is that of c sum_k z_k log L_k, with z = softmax(xi) and c = 1 / sum_k (z_k / L_k) held constant. Then
    xi <- xi - rate (J' (log L - log L') + 0.001 xi), by Adam, with L' the losses of the same texts after the step and J the
    Jacobian of the softmax. This costs one more forward pass, and no backward pass.
    """

    compares = True
    rate = 0.025
    decay = 0.001  # pulls xi to 0; a part of the method

    def weights(self, losses: Mapping[str, Tensor]) -> Weights:
        shares = self._shares(losses)
        parts = {name: shares[name] / (loss.detach() + EPSILON) for name, loss in losses.items()}
        total = torch.stack(list(parts.values())).sum()
        return {name: part / total for name, part in parts.items()}

    def _shares(self, names: Iterable[str]) -> dict[str, float]:
        return softmax({name: self.learned[name].value for name in names})

    def learn(self, losses: Mapping[str, float], after: Mapping[str, float], weights: Mapping[str, float]) -> None:
        super().learn(losses, after, weights)
        if not all(map(math.isfinite, after.values())):  # the next step stops the training, or has other texts
            return
        shares = self._shares(losses)
        fallen = {name: math.log((loss + EPSILON) / (after[name] + EPSILON)) for name, loss in losses.items()}
        mean = sum(shares[name] * fallen[name] for name in losses)
        for name in losses:
            one = self.learned[name]
            one.move(shares[name] * (fallen[name] - mean) + self.decay * one.value, self.rate)


def normalized(spec: TaskSpec) -> float:
    """The weight that divides a loss by that of an uninformed guess: 1 / log C for C classes, 1 / log 2 for multi-label tasks, 1
    for regression, whose squared error is already in units of the labels' standard deviation.
    """
    return 1 / kind_of(spec.kind).chance_loss(spec)
