"""How good a model is on its tasks' validation rows, and which epoch was the best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from mtlkit.data.tasks import TaskData
from mtlkit.inference.compute import Compute
from mtlkit.inference.encoding import encode_all, evaluate
from mtlkit.inference.fast import fastest
from mtlkit.metrics import main_metric
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.events import TaskState

SHOWN = ("loss", "accuracy", "macro_f1", "micro_f1", "pearson", "spearman", "mse")  # of all metrics, those of an epoch


class Judge:
    """Evaluates every task on its validation rows. Vectors of a frozen backbone are worked out once."""

    def __init__(self, model: MultiTaskModel, tasks: Mapping[str, TaskData], compute: Compute, frozen_backbone: bool) -> None:
        self.model, self.tasks, self.compute = model, tasks, compute
        self.cached: dict[str, Tensor] = {}
        if frozen_backbone:
            model.eval()
            self.fast = fastest(model, compute)
            self.cached = {name: self._encode(task) for name, task in tasks.items()}

    def _encode(self, task: TaskData) -> Tensor:
        return encode_all(self.fast, task.validation.encoded, self.compute)

    def __call__(self) -> dict[str, dict[str, float]]:
        self.model.eval()
        self.fast = fastest(self.model, self.compute)
        found = {}
        for name, task in self.tasks.items():
            vectors = self.cached[name] if name in self.cached else self._encode(task)
            metrics = evaluate(self.model, name, task.validation, vectors)
            found[name] = {key: metrics[key] for key in SHOWN if key in metrics}
        return found


@dataclass(frozen=True)
class Rank:
    """The mean score of an epoch; of two with the same, the one with the lower loss is better."""

    score: float
    loss: float

    def beats(self, other: Rank) -> bool:
        return (self.score, -self.loss) > (other.score, -other.loss)


def rank(states: Sequence[TaskState], tasks: Mapping[str, TaskData]) -> Rank:
    """The mean over `tasks` of the metric that counts for each, and the sum of their losses; other states are not counted."""
    counted = [state for state in states if state.task in tasks]
    scores = [state.validation[main_metric(tasks[state.task].spec)] for state in counted]
    return Rank(sum(scores) / len(scores), sum(state.validation["loss"] for state in counted))


@dataclass(frozen=True)
class Best:
    """The best epoch so far and the weights that were trained until its end."""

    rank: Rank
    weights: dict[str, Tensor]


def trained_weights(model: MultiTaskModel) -> dict[str, Tensor]:
    """A copy of everything that trains."""
    return {name: weight.detach().clone() for name, weight in model.named_parameters() if weight.requires_grad}
