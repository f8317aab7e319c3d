"""Weights from the inner products of the tasks' gradients, computed by TorchJD (Quinton & Rey 2024)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mtlkit.config.registries.balancing import BALANCING
from mtlkit.errors import UsageError
from mtlkit.model.randomness import drawing_from
from mtlkit.training.balancing.loss_weighting import State
from mtlkit.training.balancing.registry import missing_module, not_installed


class GradientWeighting:
    """A TorchJD method: computes one weight per task from the Gram matrix of the tasks' gradients, (tasks, tasks).

    Raises UsageError if TorchJD or another dependency of the method is not installed.
    """

    def __init__(self, method: str, random: torch.Generator | None = None) -> None:
        self.method, self.random = method, random  # PCGrad projects in random order
        self._weightings: dict[str, Any] = {}  # by comma-separated tasks; Nash-MTL starts from its last solution
        make_weighting(method, 2)

    def __call__(self, products: Tensor, tasks: Sequence[str]) -> dict[str, float]:
        """Returns the weight of each task. Non-finite products give non-finite weights, so that the step is skipped."""
        scale = products.diagonal().mean()
        if len(tasks) == 1 or scale == 0:
            return dict.fromkeys(tasks, 1.0)
        if not products.isfinite().all():
            return dict.fromkeys(tasks, float("nan"))
        with drawing_from(self.random):
            weights = self._of(tasks)(products / scale)  # TorchJD treats a very small Gram matrix as zero
        return dict(zip(tasks, weights.tolist(), strict=True))

    def _of(self, tasks: Sequence[str]) -> Any:
        key = ",".join(tasks)
        if key not in self._weightings:
            self._weightings[key] = make_weighting(self.method, len(tasks))
        return self._weightings[key]

    def state_dict(self) -> State:
        return {key: solver.state_dict() for key, solver in self._weightings.items() if isinstance(solver, NashSolver)}

    def load_state_dict(self, state: State) -> None:
        for key, solution in state.items():
            self._of(key.split(",")).load_state_dict(solution)


class NashSolver:
    """Nash-MTL (Navon et al. 2022).

    TorchJD's implementation takes gradients, although only their inner products matter. It is called with a square root of the
    Gram matrix instead, so its limit of 1 on the norm of the result is relative to the mean norm of the tasks' gradients.
    """

    def __init__(self, aggregator: Any) -> None:
        self.weighting = aggregator.weighting

    def __call__(self, products: Tensor) -> Tensor:
        values, directions = torch.linalg.eigh(products)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # cvxpy's advice to authors of problems
            weights: Tensor = self.weighting(directions * values.clamp(min=0).sqrt())
        return weights

    def state_dict(self) -> list[float]:
        solution: list[float] = self.weighting.prvs_alpha.tolist()
        return solution

    def load_state_dict(self, state: Sequence[float]) -> None:
        self.weighting.prvs_alpha = torch.tensor(state, dtype=torch.float64).numpy()


def make_weighting(method: str, tasks: int) -> Any:
    """The TorchJD object that computes weights from a Gram matrix, (tasks, tasks). Raises UsageError if it cannot be imported."""
    registered = BALANCING[method]
    try:
        import torchjd.aggregation

        weighting = getattr(torchjd.aggregation, registered.weighting)
        return NashSolver(weighting(n_tasks=tasks)) if registered.weighting == "NashMTL" else weighting(**registered.settings)
    except ImportError as error:
        raise UsageError(not_installed(method, missing_module(method) or "TorchJD")) from error
