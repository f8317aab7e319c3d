"""Records the starting model, to measure forgetting at the end of the training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtlkit.data.batching import Rows
from mtlkit.data.datasets.corpus import sample_passages
from mtlkit.data.encoded import Encoded
from mtlkit.evaluation.forgetting import ForgettingReport, TaskChange, backward_transfer, task_change
from mtlkit.evaluation.task_metrics import main_metric, score
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.model.weight_names import level, parts_of
from mtlkit.training.objectives.base import HeadObjective
from mtlkit.training.validation.evaluator import Evaluator, has_validation

PROBES = 100


def probe_texts() -> list[str]:
    """About PROBES fixed texts, from both samples in the package."""
    passages = sample_passages()
    return passages[:: len(passages) // PROBES]


class StartModel:
    """Compares a model with what it was before the training.

    Records the outputs of every existing head on its validation rows, if it has any, the vectors of the probe texts, a copy of
    the weights on the CPU (without new heads and adapters), and the scores at every stage. `known` are the tasks whose heads
    come from the starting model; of those in `old_rows`, which have new classes, only these validation rows are compared.

    Create it before the first step, from a model on the compute device. Leaves the model in eval mode, as does `report`.
    """

    def __init__(
        self,
        model: MultiTaskModel,
        known: Mapping[str, HeadObjective],
        probes: Encoded,
        evaluator: Evaluator,
        old_rows: Mapping[str, Rows] | None = None,
    ) -> None:
        self.old_rows = dict(old_rows or {})
        compared = {name: objective for name, objective in known.items() if has_validation(objective)}
        self.known = {name: compared[name] for name in compared if len(self.old_rows.get(name, (0,)))}
        self.probes, self.evaluator = probes, evaluator
        self.outputs = self._outputs()
        self.vectors = self._vectors()
        self.weights = {
            name: weight.detach().to("cpu", copy=True)
            for name, weight in model.named_parameters()
            if not name.startswith(("heads.", "adapters.")) or name.split(".")[1] in known
        }
        self.columns: dict[str, dict[str, float | None]] = {}
        self.add("before", self._scores(self.outputs))

    def add(self, stage: str, scores: Mapping[str, float | None]) -> None:
        """Records the main metric of each task at a stage, such as `epoch 3`. The stage `before` is recorded at the start."""
        first = stage == "before"  # later scores of tasks with new classes are of all rows
        self.columns[stage] = {name: score for name, score in scores.items() if first or name not in self.old_rows}

    def report(self, model: MultiTaskModel, after: Mapping[str, float | None]) -> ForgettingReport:
        """Compares the current model with the starting model. `after` is the main metric of each trained or watched task;
        existing tasks are evaluated again. Can be called repeatedly.
        """
        self.evaluator.moved()
        outputs = self._outputs()
        columns = {**self.columns, "after": {**after, **self._scores(outputs)}}
        tasks = [name for name in model.tasks if any(name in column for column in columns.values())]
        changes = tuple(self._change(name, outputs[name]) for name in tasks if name in self.known)
        cosines = cosines_of(self.vectors, self._vectors())
        return ForgettingReport(
            tuple(columns),
            {name: tuple(column.get(name) for column in columns.values()) for name in tasks},
            {name: main_metric(model.tasks[name]) for name in tasks},
            changes,
            backward_transfer(changes),
            distances(self.weights, dict(model.named_parameters())),
            float(cosines.mean()) if len(cosines) else None,
            float(cosines.min()) if len(cosines) else None,
            len(cosines),
        )

    def _outputs(self) -> dict[str, NDArray[np.float32]]:
        every = {name: objective.outputs(self.evaluator.vectors(name)) for name, objective in self.known.items()}
        return {name: outputs[self.old_rows[name]] if name in self.old_rows else outputs for name, outputs in every.items()}

    def _labels(self, name: str) -> NDArray[Any]:
        labels = self.known[name].task.validation.labels
        return labels[self.old_rows[name]] if name in self.old_rows else labels

    def _vectors(self) -> NDArray[np.float32]:
        vectors: NDArray[np.float32] = self.evaluator.encode(self.probes).cpu().numpy()
        return vectors

    def _scores(self, outputs: Mapping[str, NDArray[np.float32]]) -> dict[str, float | None]:
        return {name: self._score(name, outputs[name]) for name in self.known}

    def _score(self, name: str, outputs: NDArray[np.float32]) -> float | None:
        spec = self.known[name].task.spec
        metric: float | None = score(spec, outputs, self._labels(name))[main_metric(spec)]
        return metric

    def _change(self, name: str, outputs: NDArray[np.float32]) -> TaskChange:
        scores = (column.get(name) for column in self.columns.values())
        best = max((value for value in scores if value is not None), default=None)
        return task_change(self.known[name].task.spec, self._labels(name), self.outputs[name], outputs, best)


def distances(start: Mapping[str, Tensor], now: Mapping[str, Tensor]) -> dict[str, float | None]:
    """The relative change |w - w0| / |w0| of each part of the starting model, from the embeddings upwards. None for a part whose
    initial weights are all zero and have changed.
    """
    parts = sorted(parts_of(start).items(), key=lambda item: level(item[0]))
    return {part: _distance([(start[name], now[name]) for name in names]) for part, names in parts}


@torch.no_grad()
def _distance(weights: list[tuple[Tensor, Tensor]]) -> float | None:
    squares = [(_square(new.detach().cpu() - old), _square(old)) for old, new in weights]
    change, norm = (sum(column) ** 0.5 for column in zip(*squares, strict=True))
    return change / norm if norm else None if change else 0.0


def _square(weight: Tensor) -> float:
    return float(torch.linalg.vector_norm(weight, dtype=torch.float64)) ** 2


def cosines_of(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float64]:
    """Cosine similarity of each row of `left`, (N, D), with the same row of `right`: (N,). 1 for equal rows, even if they are all
    zeros; 0 if only one is.
    """
    first, second = left.astype(np.float64), right.astype(np.float64)
    lengths = np.sqrt((first**2).sum(1) * (second**2).sum(1))
    cosines = np.clip((first * second).sum(1) / np.where(lengths > 0, lengths, 1.0), -1.0, 1.0)
    return np.where((first == second).all(1), 1.0, cosines)
