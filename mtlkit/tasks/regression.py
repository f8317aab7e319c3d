"""Regression: each row has a number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mtlkit.config.architecture import TaskSpec
from mtlkit.config.registries.task_kinds import KINDS
from mtlkit.data.labels.classes import comparable_numbers, is_number, look_numeric, numbers_of
from mtlkit.data.labels.codec import RowClasses
from mtlkit.data.labels.marks import Label, RawLabel
from mtlkit.data.labels.numbers import check_numbers
from mtlkit.data.labels.values import number_or_none, shown
from mtlkit.evaluation.figures import Figures, Measured
from mtlkit.evaluation.intervals import Measure, Values, mean_of, pearson_of, spearman_of
from mtlkit.evaluation.metric_names import MSE, PEARSON, SPEARMAN, Metric
from mtlkit.evaluation.metrics import Array, regression
from mtlkit.tasks.base import TaskKind
from mtlkit.tasks.convex import ConvexLoss, SquaredLoss
from mtlkit.tasks.multi_label import nothing_to_learn

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from mtlkit.model.heads.losses import LossOptions


class Regression(TaskKind):
    """A number a row. The output is the predicted number, (N, 1); encoded labels are numbers, (N,) float32. The head works in
    units of the training labels' spread around their mean."""

    name: ClassVar[str] = "regression"
    help: ClassVar[str] = "A number for each row."
    rank: ClassVar[int] = 10
    classes: ClassVar[RowClasses] = "none"
    metrics: ClassVar[tuple[Metric, ...]] = (SPEARMAN, PEARSON, MSE)
    outputs_help: ClassVar[str] = "For regression, the column is the predicted number."
    checks_labels: ClassVar[bool] = True
    loss_factor: ClassVar[float] = 0.5

    def recognizes(self, labels: Sequence[Label]) -> bool:
        return look_numeric(labels)

    def claims(self, labels: Sequence[Label]) -> bool:
        return all(is_number(label) for label in labels)

    def check_label(self, label: RawLabel, value: object) -> None:
        if number_or_none(label) is None:
            raise ValueError(f"{shown(value)}, which is not a finite number, as regression needs")

    def check_inferred(self, labels: Sequence[Label], location: str) -> None:
        check_numbers(labels, location)

    def make_spec(self, task: str, labels: Sequence[Label], head: str, names: Sequence[str]) -> TaskSpec:
        values = numbers_of(task, labels)
        return TaskSpec(task, self.name, (), head, float(values.mean()), float(values.std()) or 1.0)

    def check_spec(self, spec: TaskSpec) -> None:
        if spec.labels:
            raise ValueError(f"task '{spec.name}' has labels, and {self.name} has none")

    def check_varied(self, spec: TaskSpec, labels: Sequence[Label], column: str) -> None:
        values = numbers_of(spec.name, labels)
        if not np.ptp(values) > 0:
            raise nothing_to_learn(spec.name, column, f"{values[0]:g}", len(labels))

    def unseen(self, spec: TaskSpec, labels: Sequence[Label]) -> Counter[str]:
        return Counter()

    def encode(self, spec: TaskSpec, labels: Sequence[Label]) -> tuple[NDArray[Any], NDArray[np.int64]]:
        return numbers_of(spec.name, labels).astype(np.float32), np.arange(len(labels))

    def comparable(self, task: str, splits: Sequence[Sequence[Label]]) -> tuple[list[NDArray[np.float64]], float]:
        return comparable_numbers(task, splits)

    def loss(self, spec: TaskSpec, outputs: Tensor, labels: Tensor, options: LossOptions) -> Tensor:
        from mtlkit.model.heads.losses import squared_error

        return squared_error(outputs, labels, spec.spread)

    def convex_loss(self, spec: TaskSpec, labels: Array, options: LossOptions, weights: Values) -> ConvexLoss | None:
        return SquaredLoss((labels.astype(np.float64) - spec.center) / spec.spread, weights)

    def strata(self, spec: TaskSpec, labels: Array) -> NDArray[np.int64]:
        """By tenths of the rows in the order of their numbers."""
        ranks = np.argsort(np.argsort(labels, kind="stable"), kind="stable")
        return ranks * 10 // max(1, len(labels))

    def score(self, spec: TaskSpec, outputs: Array, labels: Array) -> dict[str, Any]:
        return regression(outputs[:, 0], labels)

    def measure(self, spec: TaskSpec, outputs: Array, labels: Array) -> Measure:
        return spearman_of(outputs[:, 0], labels)

    def figures(self, spec: TaskSpec, outputs: Array, labels: Array) -> Figures:
        predicted, true = outputs[:, 0].astype(np.float64), labels.astype(np.float64)
        measures = {
            "spearman": spearman_of(predicted, true),
            "pearson": pearson_of(predicted, true),
            "mse": mean_of((predicted - true) ** 2),
        }

        def measure(counts: Values) -> Measured:
            return Measured({name: figure(counts) for name, figure in measures.items()}, {})

        return Figures(len(labels), measure)

    def probabilities(self, spec: TaskSpec, outputs: Array) -> Array:
        return outputs

    def answer(self, spec: TaskSpec, row: list[float]) -> dict[str, Any]:
        """{"value"}: the predicted number."""
        return {"value": row[0]}

    def in_short(self, answer: dict[str, Any]) -> str:
        return f"{answer['value']:.3f}"

    def sample(self, spec: TaskSpec, outputs: Tensor, noise: torch.Generator) -> Tensor:
        import torch

        return (outputs + spec.spread * torch.randn(outputs.shape, generator=noise)).squeeze(-1)

    def log_likelihood(self, spec: TaskSpec, outputs: Tensor, labels: Tensor) -> Tensor:
        """Under a normal distribution with the spread of the labels."""
        return -((outputs.squeeze(-1) - labels) / spec.spread).square().sum() / 2

    def divergence(self, spec: TaskSpec, now: Tensor, before: Tensor, temperature: float) -> Tensor:
        """Mean squared difference in units of the labels' spread."""
        from torch.nn import functional

        return functional.mse_loss(now / spec.spread, before / spec.spread)

    def chance_loss(self, spec: TaskSpec) -> float:
        return 1.0


KINDS.add(Regression())
