"""Balancing by the tasks' gradients with respect to shared vectors or weights; `gram_weighting.py` computes the weights.

Only what tasks share is balanced: each head gets the gradient of its own loss, as in TorchJD's `mtl_backward`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.balancing.gram_weighting import GradientWeighting
from mtlkit.training.balancing.loss_weighting import LossWeighting, State, Weights, add_up
from mtlkit.training.distributed.ranks import Ranks
from mtlkit.training.losses import Losses, of_tasks


class GradientLossWeighting(LossWeighting):
    """Base class of the methods that weight tasks by their gradients."""

    changes = True

    def __init__(self, method: str, model: MultiTaskModel, random: torch.Generator | None = None) -> None:
        super().__init__()
        self.model, self.gradient_weighting = model, GradientWeighting(method, random)

    def heads(self) -> list[nn.Parameter]:
        """The trainable weights of all heads."""
        return [weight for weight in self.model.heads.parameters() if weight.requires_grad]

    def state_dict(self) -> State:
        return {**super().state_dict(), "weigher": self.gradient_weighting.state_dict()}

    def load_state_dict(self, state: State) -> None:
        super().load_state_dict(state)
        self.gradient_weighting.load_state_dict(state["weigher"])


class VectorGradients(GradientLossWeighting):
    """Weights the tasks of each micro-batch by their gradients with respect to the sentence vectors (`--balance-on vectors`).

    This needs a single backward pass through the backbone. Gradients with respect to the vectors of different texts are not
    comparable. Therefore, imagine one affine map applied to all vectors, initially the identity, and compare the gradients with
    respect to it: sum_n [z_n, 1] g_n^T, (D + 1, D), for a task's vectors z_n and its gradients g_n.
    """

    def backward(self, losses: Mapping[str, Tensor], shares: Mapping[str, float]) -> None:
        assert isinstance(losses, Losses)
        tasks, vectors = of_tasks(losses), losses.vectors
        if not all(vectors[name].requires_grad for name in tasks):  # the backbone is frozen for now
            super().backward(losses, shares)
            return
        heads, gradients = self.heads(), {}
        for name, loss in tasks.items():
            at_vectors, *at_heads = torch.autograd.grad(loss * shares[name], [vectors[name], *heads], allow_unused=True)
            gradients[name] = torch.zeros_like(vectors[name]) if at_vectors is None else at_vectors
            add_gradients(heads, at_heads)
        maps = torch.stack([gradient_of_map(vectors[name].detach(), gradients[name]) for name in tasks])
        weights = self.gradient_weighting((maps @ maps.T).cpu().double(), list(tasks))
        guards = {name: loss for name, loss in losses.items() if name not in tasks and loss.requires_grad}
        torch.autograd.backward(
            [*(vectors[name] for name in tasks), *guards.values()],
            [
                *(weights[name] * gradients[name] for name in tasks),
                *(torch.full_like(loss, shares[name]) for name, loss in guards.items()),
            ],
        )
        self._applied.append(weights)


def gradient_of_map(vectors: Tensor, gradients: Tensor) -> Tensor:
    """The gradient with respect to an affine map of vectors, (N, D), at the identity, flattened: ((D + 1) * D,)."""
    vectors, gradients = vectors.float(), gradients.float()
    return torch.cat([vectors.T @ gradients, gradients.sum(0, keepdim=True)]).flatten()


class ParameterGradients(GradientLossWeighting):
    """Weights tasks by their gradients with respect to the weights that they share (`--balance-on parameters`).

    Exact over all micro-batches of a step. Takes a backward pass, and memory for a gradient, per task.
    """

    def __init__(self, method: str, model: MultiTaskModel, random: torch.Generator | None = None) -> None:
        super().__init__(method, model, random)
        self._gradients: dict[str, Tensor] = {}

    def shared(self) -> list[nn.Parameter]:
        """The trainable weights of the backbone, or of the adapter of all tasks."""
        weights = [*self.model.backbone.parameters(), *self.model.adapters.parameters()]
        return [weight for weight in weights if weight.requires_grad]

    def backward(self, losses: Mapping[str, Tensor], shares: Mapping[str, float]) -> None:
        tasks, shared, heads = of_tasks(losses), self.shared(), self.heads()
        if not shared:  # frozen for now
            super().backward(losses, shares)
            return
        for name, loss in tasks.items():
            gradients = torch.autograd.grad(loss * shares[name], [*shared, *heads], retain_graph=True, allow_unused=True)
            add_gradients(heads, gradients[len(shared) :])
            gradient = flattened(shared, gradients[: len(shared)])
            self._gradients[name] = self._gradients[name] + gradient if name in self._gradients else gradient
        add_up([shares[name] * loss for name, loss in losses.items() if name not in tasks])

    def combine(self, ranks: Ranks) -> None:
        super().combine(ranks)
        shared = self.shared()
        names = dict.fromkeys(name for own in ranks.agreed(list(self._gradients)) for name in own)
        for name in names:
            if name not in self._gradients:  # this rank had no batch of the task
                self._gradients[name] = flattened(shared, [None] * len(shared))
        self._gradients = {name: self._gradients[name] for name in names}
        ranks.sum(list(self._gradients.values()))

    def settle(self) -> Weights:
        if not self._gradients:
            return super().settle()
        gradients, self._gradients = self._gradients, {}
        rows, shared = list(gradients.values()), self.shared()
        products = torch.stack([torch.stack([row @ other for other in rows]) for row in rows])
        weights = self.gradient_weighting(products.cpu().double(), list(gradients))
        total = torch.stack([weights[name] * gradient for name, gradient in gradients.items()]).sum(0)
        parts = torch.split(total, [weight.numel() for weight in shared])
        add_gradients(shared, [part.view_as(weight) for part, weight in zip(parts, shared, strict=True)])
        return weights


def flattened(weights: Sequence[Tensor], gradients: Sequence[Tensor | None]) -> Tensor:
    """Concatenates gradients into one row, with zeros for missing ones."""
    pairs = zip(weights, gradients, strict=True)
    return torch.cat([(torch.zeros_like(weight) if gradient is None else gradient).flatten() for weight, gradient in pairs])


def add_gradients(weights: Sequence[nn.Parameter], gradients: Sequence[Tensor | None]) -> None:
    """Adds gradients (None: zero) to those that the weights have accumulated in this step."""
    for weight, gradient in zip(weights, gradients, strict=True):
        if gradient is not None:
            weight.grad = gradient.clone() if weight.grad is None else weight.grad + gradient
