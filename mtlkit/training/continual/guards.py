"""Guards against forgetting: penalties on the distance from the starting model, a class each.

A guard is created before the first step and adds a loss to every step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from mtlkit.data.batching import Rows
from mtlkit.data.datasets.task_data import LabelledTexts
from mtlkit.data.encoded import EncodedWords
from mtlkit.errors import UsageError
from mtlkit.inference.compute import Compute
from mtlkit.inference.encoding import encode_all
from mtlkit.inference.fast import fastest
from mtlkit.model.heads import Head
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.model.pair_vectors import head_inputs
from mtlkit.tasks.base import kind_of
from mtlkit.training.continual.fisher import add_fisher
from mtlkit.training.freezing.features import Vectors
from mtlkit.training.objectives.base import ExampleSet, HeadObjective, Objective
from mtlkit.training.sampling.columns import vectors_of_all
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


class LwF:
    """Learning without Forgetting (Li & Hoiem 2017): keeps the outputs of old heads on new texts close to the initial ones.
    alpha * sum over old heads of KL(softmax(z0 / T) | softmax(z / T)), whose gradient is that of their cross-entropy.

    For multi-label heads, the divergence is that of each label's sigmoid; for regression, the squared error in units of the
    labels' standard deviation. Old heads are frozen, so the penalty only affects the backbone. Needs no old data. An old head for
    the vectors of pairs of texts gets the pairs of the new task, or of single texts each one with the next of the batch.
    """

    replaces_decay: ClassVar[bool] = False

    def __init__(self, context: GuardContext, alpha: float = 1.0, temperature: float = 2.0) -> None:
        self.model, self.alpha, self.temperature = context.model, alpha, temperature
        model, compute = context.model.eval(), context.compute
        fast = fastest(model, compute)
        self.trained, old = context.trained, {name: model.head(name) for name in context.old_heads}
        self.initial: dict[str, dict[str, Tensor]] = {}  # outputs for texts by task and old head, (M, outputs)
        self.vectors: dict[str, Tensor] = {}  # of texts by task, (M, D), if there are old heads for pairs
        self.of_pairs = [name for name, head in old.items() if head.spec.pair == "vectors"]
        texts = {name: objective.train for name, objective in context.trained.items()}
        check_same_inputs(old, context.trained)
        for name, vectors in vectors_of_all(texts, lambda encoded: encode_all(fast, encoded, compute)):
            with torch.no_grad():
                self.initial[name] = {head: model.head(head)(vectors).float() for head in old if head not in self.of_pairs}
            if self.of_pairs:
                self.vectors[name] = vectors

    def loss(self, vectors: Vectors, piece: MicroBatch) -> Tensor:
        terms = []
        for name, (texts, numbers) in vectors.items():
            if name not in self.initial:  # rehearsed
                continue
            where = torch.from_numpy(numbers).to(texts.device)
            for head, outputs in self.initial[name].items():
                terms.append(len(numbers) * drift(self.model.head(head), outputs[where], texts, self.temperature))
            for head in self.of_pairs:
                places = pairs_in(self.trained[name].train, numbers, piece[name])
                with torch.no_grad():
                    before = self.model.head(head)(head_inputs(self.vectors[name][where], places)).float()
                now = head_inputs(texts, places)
                terms.append(len(numbers) * drift(self.model.head(head), before, now, self.temperature))
        texts_seen = sum(len(numbers) for name, (_, numbers) in vectors.items() if name in self.initial)
        if not terms:  # all tasks of the micro-batch are rehearsed
            return next(iter(vectors.values()))[0].new_zeros(())
        return self.alpha * torch.stack(terms).sum() / texts_seen


def check_same_inputs(old: Mapping[str, Head], trained: Mapping[str, Objective]) -> None:
    """Raises UsageError if old heads label words and new tasks texts, or the other way round: `lwf` needs the inputs of both."""
    words = {name for name, head in old.items() if head.spec.tags is not None}
    new_words = {name for name, objective in trained.items() if isinstance(objective.train.encoded, EncodedWords)}
    mixed = words not in (set(), old.keys()) or new_words not in (set(), trained.keys())
    if old and (mixed or bool(words) != bool(new_words)):
        of_words = min(words | new_words)
        raise UsageError(
            f"--guard lwf keeps outputs of old heads on the data of new tasks, and '{of_words}' labels words while others label "
            "texts; use --guard l2sp"
        )


def pairs_in(examples: ExampleSet, texts: Rows, rows: Rows) -> Rows:
    """Where in a batch with the texts of these numbers, (M,), the pairs of the examples `rows` are, (2, n); if examples are no
    pairs, each text with the next one."""
    places = examples.places(texts, rows) if isinstance(examples, LabelledTexts) else None
    order = np.arange(len(texts))
    return np.stack([order, np.roll(order, -1)]) if places is None else places


def drift(head: Head, before: Tensor, vectors: Tensor, temperature: float) -> Tensor:
    """The mean divergence of a head's outputs for inputs, (N, width), from earlier outputs, (N, outputs); 0 if they are equal."""
    now = head(vectors).float()
    return kind_of(head.spec.kind).divergence(head.spec, now, before, temperature)


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
