"""Balancing by the gradients of tasks: TorchJD turns their products with each other into weights (Quinton & Rey 2024).

Only what tasks share is balanced: each head has the gradient of its own loss, as in TorchJD's `mtl_backward`.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mtlkit.errors import UsageError
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.model.randomness import drawing_from
from mtlkit.training.balancing.loss_weighting import LossWeighting, State, Weights, add_up
from mtlkit.training.balancing.registry import TORCHJD, missing_module, not_installed
from mtlkit.training.losses import Losses, of_tasks


class GradientWeighting:
    """One of TorchJD's methods: from the products of the tasks' gradients, (tasks, tasks), to a weight each.

    Raises UsageError where TorchJD, or what the method needs of it, is not installed.
    """

    def __init__(self, method: str, random: torch.Generator | None = None) -> None:
        self.method, self.random = method, random  # PCGrad projects in random order
        self._made: dict[str, Any] = {}  # Nash-MTL goes on from what it found last for the same tasks
        make_weighting(method, 2)

    def __call__(self, products: Tensor, tasks: Sequence[str]) -> dict[str, float]:
        """Products that are not finite give weights that are not, so that the step is skipped."""
        scale = products.diagonal().mean()
        if len(tasks) == 1 or scale == 0:
            return dict.fromkeys(tasks, 1.0)
        if not products.isfinite().all():
            return dict.fromkeys(tasks, float("nan"))
        with drawing_from(self.random):
            weights = self._of(tasks)(products / scale)  # TorchJD takes gradients that are small all together for none
        return dict(zip(tasks, weights.tolist(), strict=True))

    def _of(self, tasks: Sequence[str]) -> Any:
        key = ",".join(tasks)
        if key not in self._made:
            self._made[key] = make_weighting(self.method, len(tasks))
        return self._made[key]

    def state_dict(self) -> State:
        return {key: one.state_dict() for key, one in self._made.items() if isinstance(one, NashSolver)}

    def load_state_dict(self, state: State) -> None:
        for key, found in state.items():
            self._of(key.split(",")).load_state_dict(found)


class NashSolver:
    """Nash-MTL (Navon et al. 2022) is written for the gradients themselves, but asks for no more than their products: so it is
    given a square root of those. TorchJD's limit on the norm of the result, 1, then counts in units of a task's gradient."""

    def __init__(self, made: Any) -> None:
        self.weighting = made.weighting

    def __call__(self, products: Tensor) -> Tensor:
        values, directions = torch.linalg.eigh(products)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # cvxpy's hints to those who write problems for it
            found: Tensor = self.weighting(directions * values.clamp(min=0).sqrt())
        return found

    def state_dict(self) -> list[float]:
        found: list[float] = self.weighting.prvs_alpha.tolist()
        return found

    def load_state_dict(self, state: Sequence[float]) -> None:
        self.weighting.prvs_alpha = torch.tensor(state, dtype=torch.float64).numpy()


def make_weighting(method: str, tasks: int) -> Any:
    """TorchJD's object that turns products, (tasks, tasks), into weights. Raises UsageError where it cannot be imported."""
    chosen = TORCHJD[method]
    try:
        import torchjd.aggregation

        weighting = getattr(torchjd.aggregation, chosen.weighting)
        return NashSolver(weighting(n_tasks=tasks)) if chosen.weighting == "NashMTL" else weighting(**chosen.settings)
    except ImportError as error:
        raise UsageError(not_installed(method, missing_module(method) or "TorchJD")) from error


class GradientLossWeighting(LossWeighting):
    """What the two ways have in common."""

    changes = True

    def __init__(self, method: str, model: MultiTaskModel, random: torch.Generator | None = None) -> None:
        super().__init__()
        self.model, self.gradient_weighting = model, GradientWeighting(method, random)

    def heads(self) -> list[nn.Parameter]:
        return [weight for weight in self.model.heads.parameters() if weight.requires_grad]

    def state_dict(self) -> State:
        return {**super().state_dict(), "weigher": self.gradient_weighting.state_dict()}

    def load_state_dict(self, state: State) -> None:
        super().load_state_dict(state)
        self.gradient_weighting.load_state_dict(state["weigher"])


class VectorGradients(GradientLossWeighting):
    """Balances each piece of work by its gradients at the vectors, for one pass back through the backbone.

    The texts of tasks differ, so their gradients at the vectors never meet. What is compared is the gradient that an affine map
    of all vectors would have that stands at the identity: sum_n [z_n, 1] g_n' of a task's vectors z_n and the gradients g_n of
    its loss there, (D + 1, D).
    """

    def backward(self, losses: Mapping[str, Tensor], shares: Mapping[str, float]) -> None:
        assert isinstance(losses, Losses)
        tasks, vectors = of_tasks(losses), losses.vectors
        if not all(vectors[name].requires_grad for name in tasks):  # the backbone is frozen for a while
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
    """That of an affine map of vectors, (N, D), at the identity, as a row."""
    vectors, gradients = vectors.float(), gradients.float()
    return torch.cat([vectors.T @ gradients, gradients.sum(0, keepdim=True)]).flatten()


class ParameterGradients(GradientLossWeighting):
    """Balances the gradients of the weights of the backbone: a pass back through it for every task, and room for a gradient of
    each. Exact over all pieces of a step."""

    def __init__(self, method: str, model: MultiTaskModel, random: torch.Generator | None = None) -> None:
        super().__init__(method, model, random)
        self._gradients: dict[str, Tensor] = {}

    def shared(self) -> list[nn.Parameter]:
        return [weight for weight in self.model.backbone.parameters() if weight.requires_grad]

    def backward(self, losses: Mapping[str, Tensor], shares: Mapping[str, float]) -> None:
        tasks, shared, heads = of_tasks(losses), self.shared(), self.heads()
        if not shared:  # frozen for a while
            super().backward(losses, shares)
            return
        for name, loss in tasks.items():
            found = torch.autograd.grad(loss * shares[name], [*shared, *heads], retain_graph=True, allow_unused=True)
            add_gradients(heads, found[len(shared) :])
            gradient = flattened(shared, found[: len(shared)])
            self._gradients[name] = self._gradients[name] + gradient if name in self._gradients else gradient
        add_up([shares[name] * loss for name, loss in losses.items() if name not in tasks])

    def settle(self) -> Weights:
        if not self._gradients:
            return super().settle()
        gradients, self._gradients = self._gradients, {}
        rows, shared = list(gradients.values()), self.shared()
        products = torch.stack([torch.stack([one @ other for other in rows]) for one in rows])
        weights = self.gradient_weighting(products.cpu().double(), list(gradients))
        total = torch.stack([weights[name] * gradient for name, gradient in gradients.items()]).sum(0)
        parts = torch.split(total, [weight.numel() for weight in shared])
        add_gradients(shared, [part.view_as(weight) for part, weight in zip(parts, shared, strict=True)])
        return weights


def flattened(weights: Sequence[Tensor], gradients: Sequence[Tensor | None]) -> Tensor:
    """One row of them all, zeros where there is none."""
    pairs = zip(weights, gradients, strict=True)
    return torch.cat([(torch.zeros_like(one) if gradient is None else gradient).flatten() for one, gradient in pairs])


def add_gradients(weights: Sequence[nn.Parameter], gradients: Sequence[Tensor | None]) -> None:
    """Adds to what weights have of a step so far."""
    for weight, gradient in zip(weights, gradients, strict=True):
        if gradient is not None:
            weight.grad = gradient.clone() if weight.grad is None else weight.grad + gradient
