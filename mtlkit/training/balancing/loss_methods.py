"""Methods that adapt the weights to the losses: uncertainty weighting, DWA and FAMO. Gradient methods: `gradient_methods.py`.

Learned weights are not parameters of the model. They have their own Adam, without weight decay, and learn from values that a step
computes anyway.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import ClassVar

import torch
from torch import Tensor

from mtlkit.config.architecture import Kind, TaskSpec
from mtlkit.tasks.base import kind_of
from mtlkit.training.balancing.loss_weighting import LossWeighting, RunningMeans, State, Weights

EPSILON = 1e-8  # keeps logarithms and ratios of losses finite


@dataclass
class AdamScalar:
    """A scalar learned by Adam (Kingma & Ba 2015)."""

    value: float = 0.0
    first: float = 0.0
    second: float = 0.0
    steps: int = 0

    def move(self, gradient: float, rate: float) -> None:
        """Takes a step against the gradient."""
        self.steps += 1
        self.first = 0.9 * self.first + 0.1 * gradient
        self.second = 0.999 * self.second + 0.001 * gradient**2
        first, second = self.first / (1 - 0.9**self.steps), self.second / (1 - 0.999**self.steps)
        self.value -= rate * first / (math.sqrt(second) + 1e-8)


def softmax(values: Mapping[str, float]) -> dict[str, float]:
    """The softmax over all names."""
    highest = max(values.values(), default=0.0)
    exponentials = {name: math.exp(value - highest) for name, value in values.items()}
    total = sum(exponentials.values())
    return {name: value / total for name, value in exponentials.items()}


class LearnedWeighting(LossWeighting):
    """Base class of methods with one learned number per task. A step updates the numbers of its tasks."""

    changes = True
    rate: ClassVar[float]

    def __init__(self, tasks: Iterable[str]) -> None:
        super().__init__()
        self.learned = {name: AdamScalar() for name in tasks}

    def state_dict(self) -> State:
        return {**super().state_dict(), "learned": {name: asdict(scalar) for name, scalar in self.learned.items()}}

    def load_state_dict(self, state: State) -> None:
        super().load_state_dict(state)
        self.learned = {name: AdamScalar(**scalar) for name, scalar in state["learned"].items()}


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
        if not all(map(math.isfinite, after.values())):  # the next step raises DivergedStep, or has other texts
            return
        shares = self._shares(losses)
        decrease = {name: math.log((loss + EPSILON) / (after[name] + EPSILON)) for name, loss in losses.items()}
        mean = sum(shares[name] * decrease[name] for name in losses)
        for name in losses:
            xi = self.learned[name]
            xi.move(shares[name] * (decrease[name] - mean) + self.decay * xi.value, self.rate)


def normalized(spec: TaskSpec) -> float:
    """The weight 1 / loss of a guess without information: 1 / log C for C classes, 1 / log 2 for multi-label tasks, and 1 for
    regression, where labels are standardised.
    """
    return 1 / kind_of(spec.kind).chance_loss(spec)
