"""Guards against forgetting: penalties on the distance from the starting model, a class each.

A guard is created before the first step and adds a loss to every step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor, nn

from mtlkit.inference.compute import Compute
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.continual.fisher import add_fisher
from mtlkit.training.freezing.features import Vectors
from mtlkit.training.objectives.base import HeadObjective, Objective
from mtlkit.training.sampling.mixture import MicroBatch


@dataclass(frozen=True)
class GuardContext:
    """The inputs of guards.

    `model` is the model before its first step, and `trainable` are the weights that train at some time. `trained` are the
    objectives that train, `watched` those of heads of the starting model that are only evaluated. `known` are the tasks whose
    heads come from the starting model.
    """

    model: MultiTaskModel
    trainable: frozenset[str]
    trained: Mapping[str, Objective]
    watched: Mapping[str, HeadObjective]
    known: frozenset[str]
    compute: Compute
    seed: int

    @property
    def old_heads(self) -> list[str]:
        """The tasks whose heads come from the starting model and do not train."""
        return [name for name in self.model.tasks if name in self.known and name not in self.trained]

    def started(self) -> dict[str, nn.Parameter]:
        """The trainable weights that come from the starting model: all but those of new heads."""
        fresh = tuple(f"heads.{name}." for name in self.model.tasks if name not in self.known)
        return {name: weight for name, weight in self.trainable_weights().items() if not name.startswith(fresh)}

    def trainable_weights(self) -> dict[str, nn.Parameter]:
        return {name: weight for name, weight in self.model.named_parameters() if name in self.trainable}


class Guard(Protocol):
    """A penalty that is added to the loss of every step. `replaces_decay`: weight decay is turned off."""

    replaces_decay: ClassVar[bool]

    def loss(self, vectors: Vectors, piece: MicroBatch) -> Tensor:
        """The penalty, a scalar, for the current model, from a micro-batch and the vectors of its texts."""
        ...


class AnchorPenalty:
    """A quadratic penalty on the distance from the initial weights: strength / 2 * sum_i importance_i (w_i - w0_i)^2."""

    def __init__(self, weights: Mapping[str, nn.Parameter], strength: float, importance: Mapping[str, Tensor] | None = None):
        self.strength, self.importance = strength, importance
        self.weights = dict(weights)
        self.anchors = {name: weight.detach().clone() for name, weight in weights.items()}

    def loss(self) -> Tensor:
        total = next(iter(self.anchors.values())).new_zeros(())
        for name, weight in self.weights.items():
            if weight.requires_grad:  # frozen weights have not moved
                squares = (weight - self.anchors[name]).square()
                total = total + (squares if self.importance is None else squares * self.importance[name]).sum()
        return self.strength / 2 * total


class L2SP:
    """L2-SP (Li, Grandvalet & Davoine 2018): alpha / 2 |w - w0|^2 on weights of the starting model, beta / 2 |w|^2 on new heads.

    Replaces weight decay, as in the paper.
    """

    replaces_decay: ClassVar[bool] = True

    def __init__(self, context: GuardContext, alpha: float = 0.03, beta: float = 0.01) -> None:
        started = context.started()
        self.penalty, self.beta = AnchorPenalty(started, alpha), beta
        self.fresh = [weight for name, weight in context.trainable_weights().items() if name not in started]

    def loss(self, vectors: Vectors, piece: MicroBatch) -> Tensor:
        total = self.penalty.loss()
        for weight in self.fresh:
            total = total + self.beta / 2 * weight.square().sum()
        return total


class EWC:
    """Elastic weight consolidation (Kirkpatrick et al. 2017): strength / 2 * sum_i F_i (w_i - w0_i)^2, with F the diagonal of the
    Fisher information at the start (`fisher.py`), summed over the watched tasks.
    """

    replaces_decay: ClassVar[bool] = False

    def __init__(self, context: GuardContext, strength: float = 1000.0) -> None:
        started = context.started()
        importance = {name: torch.zeros_like(weight) for name, weight in started.items()}
        for objective in context.watched.values():
            add_fisher(importance, started, objective, context.compute, context.seed)
        self.penalty = AnchorPenalty(started, strength, importance)

    def loss(self, vectors: Vectors, piece: MicroBatch) -> Tensor:
        return self.penalty.loss()
