"""How good a model is on its tasks' validation rows, and which epoch was the best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from mtlkit.inference.compute import Compute
from mtlkit.inference.encoding import encode_all
from mtlkit.inference.fast import fastest
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.events import TaskState
from mtlkit.training.objectives import Objective

SHOWN = ("loss", "accuracy", "macro_f1", "micro_f1", "pearson", "spearman", "mse")  # of all metrics, those of an epoch


class Judge:
    """Evaluates every objective on its validation texts. Vectors of a frozen backbone are worked out once."""

    def __init__(self, model: MultiTaskModel, objectives: Mapping[str, Objective], compute: Compute, frozen: bool) -> None:
        self.model, self.objectives, self.compute = model, objectives, compute
        self.cached: dict[str, Tensor] = {}
        if frozen:
            model.eval()
            self.fast = fastest(model, compute)
            self.cached = {name: self._encode(objective) for name, objective in objectives.items()}

    def _encode(self, objective: Objective) -> Tensor:
        return encode_all(self.fast, objective.validation.encoded, self.compute)

    def __call__(self) -> dict[str, dict[str, float]]:
        self.model.eval()
        self.fast = fastest(self.model, self.compute)
        found = {}
        for name, objective in self.objectives.items():
            vectors = self.cached[name] if name in self.cached else self._encode(objective)
            metrics = objective.evaluate(vectors)
            found[name] = {key: metrics[key] for key in SHOWN if key in metrics}
        return found


@dataclass(frozen=True)
class Rank:
    """The score of an epoch; of two with the same, the one with the lower loss is better."""

    score: float
    loss: float

    def beats(self, other: Rank) -> bool:
        return (self.score, -self.loss) > (other.score, -other.loss)


def rank(states: Sequence[TaskState], objectives: Mapping[str, Objective], select: str = "mean") -> Rank:
    """The `mean` or the `min` over `objectives` of the metric that counts for each, or that of one task, and the sum of their
    losses; other states are not counted."""
    counted = [state for state in states if state.task in (objectives if select in ("mean", "min") else (select,))]
    scores = [state.validation[objectives[state.task].metric] for state in counted]
    score = min(scores) if select == "min" else sum(scores) / len(scores)
    return Rank(score, sum(state.validation["loss"] for state in counted))


@dataclass(frozen=True)
class Best:
    """The best epoch so far, the weights that were trained until its end, and the metric that counts for each task."""

    rank: Rank
    weights: dict[str, Tensor]
    scores: dict[str, float]


def trained_weights(model: MultiTaskModel, never: frozenset[str]) -> dict[str, Tensor]:
    """A copy of everything that trains at some time."""
    return {name: weight.detach().clone() for name, weight in model.named_parameters() if name not in never}
