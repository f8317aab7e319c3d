"""Ordinal: each row has one of several classes, which have an order."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mtlkit.config.architecture import TaskSpec
from mtlkit.config.calibration import Calibration
from mtlkit.config.registries.task_kinds import KINDS
from mtlkit.data.labels.classes import OrderedLabels, class_numbers, classes_in, unknown_classes
from mtlkit.data.labels.marks import Label, RawLabel
from mtlkit.data.labels.values import class_name, number_or_none, shown
from mtlkit.errors import DataError
from mtlkit.evaluation.calibration import Forecast, forecast_of_classes
from mtlkit.evaluation.calibration_fit import fit_temperature
from mtlkit.evaluation.class_figures import classification_figures
from mtlkit.evaluation.figures import Figures, joined
from mtlkit.evaluation.intervals import Measure, Values
from mtlkit.evaluation.metric_names import ACCURACY, MACRO_F1, MAE, QUADRATIC_KAPPA, Metric
from mtlkit.evaluation.metrics import Array, classification, confusion
from mtlkit.evaluation.ordinal import log_probabilities, medians, ordinal, ordinal_figures, temperature_derivatives
from mtlkit.tasks.base import ClassWeights, balanced_weights
from mtlkit.tasks.classification import Classification
from mtlkit.tasks.convex import ConvexLoss
from mtlkit.tasks.convex_ordinal import CumulativeLoss

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from mtlkit.model.heads.base import Head
    from mtlkit.model.heads.losses import LossOptions


class Ordinal(Classification):
    """One class a row, and classes from low to high: numbers in their order, names in that of the key `order`.

    A cumulative link model with proportional odds (McCullagh 1980): a text has one score, and thresholds separate the classes.
    Outputs are cumulative logits, (N, classes - 1), of which column k is the logit of the probability of class k or a lower one.
    The predicted class is the median of the distribution, which has the least expected distance from the true one.
    """

    name: ClassVar[str] = "ordinal"
    help: ClassVar[str] = "One of several ordered classes for each row: numbers, or names with order=low,mid,high."
    rank: ClassVar[int] = 200
    metrics: ClassVar[tuple[Metric, ...]] = (QUADRATIC_KAPPA, MAE, ACCURACY, MACRO_F1)
    outputs_help: ClassVar[str] = (
        "For ordinal tasks, a sigmoid of column k is the probability of label k or a lower one. The predicted label is the "
        "lowest one whose column is not below 0, and the last one if all are."
    )
    checks_labels: ClassVar[bool] = True
    ordered: ClassVar[bool] = True

    def recognizes(self, labels: Sequence[Label]) -> bool:
        return False  # only where a source says so

    def claims(self, labels: Sequence[Label]) -> bool:
        return not any(isinstance(label, tuple) for label in labels)

    def check_label(self, label: RawLabel, value: object) -> None:
        if not isinstance(label, str | float) or number_or_none(label) is None:
            raise ValueError(
                f"{shown(value)}, which is not a number; name the labels from low to high, such as order=low,mid,high"
            )

    def make_spec(self, task: str, labels: Sequence[Label], head: str, names: Sequence[str]) -> TaskSpec:
        super().make_spec(task, labels, head, ())
        return TaskSpec(task, self.name, tuple(names) or numbers_in(task, labels), head)

    def extended(self, spec: TaskSpec, labels: Sequence[str], order: Sequence[str]) -> TaskSpec:
        wanted = tuple(order) or numbers_in(spec.name, [*spec.labels, *labels])
        if tuple(label for label in wanted if label in spec.labels) != spec.labels:
            known = ",".join(spec.labels)
            raise DataError(
                f"task '{spec.name}': order={','.join(wanted)} has to keep the labels of its head in their order, {known}"
            )
        return replace(spec.uncalibrated(), labels=wanted)

    def check_spec(self, spec: TaskSpec) -> None:
        if len(spec.labels) < 2:
            raise ValueError(f"task '{spec.name}' is {self.name} with {len(spec.labels)} labels; it needs two")

    def unseen(self, spec: TaskSpec, labels: Sequence[Label]) -> Counter[str]:
        return unknown_classes(OrderedLabels(spec.labels), labels)

    def encode(self, spec: TaskSpec, labels: Sequence[Label]) -> tuple[NDArray[Any], NDArray[np.int64]]:
        self.check_single(spec, labels)
        numbers, rows = class_numbers(OrderedLabels(spec.labels), labels)
        return np.array([classes[0] for classes in numbers], np.int64), rows

    def outputs(self, spec: TaskSpec) -> int:
        return len(spec.labels) - 1

    def build_head(self, spec: TaskSpec, dim: int, dropout: float) -> Head:
        from mtlkit.model.heads.ordered import OrderedHead

        return OrderedHead(dim, spec, dropout)

    def loss(self, spec: TaskSpec, outputs: Tensor, labels: Tensor, options: LossOptions) -> Tensor:
        from mtlkit.model.heads.ordered import cumulative_loss

        return cumulative_loss(outputs, labels, options)

    def class_loss(self, spec: TaskSpec, labels: Array, options: LossOptions, weights: Values) -> ConvexLoss:
        smoothing = options.smoothing
        if len(np.unique(labels)) < len(spec.labels):  # a threshold beside a class without rows would have no optimum
            smoothing = max(smoothing, 1 / len(labels))
        return CumulativeLoss(labels, self.outputs(spec), weights, smoothing)

    def score(self, spec: TaskSpec, outputs: Array, labels: Array) -> dict[str, Any]:
        predicted = medians(outputs)
        own, other = ordinal(labels, predicted), classification(spec.labels, confusion(len(spec.labels), labels, predicted))
        undefined = {**own.pop("undefined", {}), **other.pop("undefined", {})}
        return {**own, **other, **({"undefined": undefined} if undefined else {})}

    def measure(self, spec: TaskSpec, outputs: Array, labels: Array) -> Measure:
        figures = ordinal_figures(labels, medians(outputs))
        return lambda counts: figures.measure(counts).overall[QUADRATIC_KAPPA.name]

    def figures(self, spec: TaskSpec, outputs: Array, labels: Array) -> Figures:
        predicted = medians(outputs)
        figures = classification_figures(spec.labels, labels, predicted, self.probabilities(spec, outputs))
        return joined(ordinal_figures(labels, predicted), figures)

    def decisions(self, spec: TaskSpec, outputs: Array) -> Array | None:
        return medians(outputs)

    def probabilities(self, spec: TaskSpec, outputs: Array) -> Array:
        """Of the classes, (N, classes), from outputs (N, classes - 1)."""
        probabilities: Array = np.exp(log_probabilities(outputs / spec.temperature))
        return probabilities

    def fit_calibration(self, spec: TaskSpec, outputs: Array, labels: Array) -> Calibration | None:
        return Calibration("temperature", fit_temperature(outputs, labels, temperature_derivatives), rows=len(labels))

    def forecast(self, spec: TaskSpec, outputs: Array, labels: Array) -> Forecast | None:
        return forecast_of_classes(self.probabilities(spec, outputs), labels, medians(outputs))

    def answer(self, spec: TaskSpec, row: list[float]) -> dict[str, Any]:
        """{"label", "probability", "probabilities"}: the median class, how likely it is, and how likely each class is."""
        middle = int(np.searchsorted(np.cumsum(row), 0.5))
        shares = dict(zip(spec.labels, row, strict=True))
        return {"label": spec.labels[middle], "probability": row[middle], "probabilities": shares}

    def sample(self, spec: TaskSpec, outputs: Tensor, noise: torch.Generator) -> Tensor:
        import torch

        from mtlkit.model.heads.ordered import log_likelihoods

        return torch.multinomial(log_likelihoods(outputs).exp(), 1, generator=noise).squeeze(-1)

    def log_likelihood(self, spec: TaskSpec, outputs: Tensor, labels: Tensor) -> Tensor:
        from mtlkit.model.heads.ordered import log_likelihoods

        return log_likelihoods(outputs).gather(-1, labels[:, None]).sum()

    def divergence(self, spec: TaskSpec, now: Tensor, before: Tensor, temperature: float) -> Tensor:
        """Kullback-Leibler divergence of the classes at this temperature, the mean over texts."""
        from torch.nn import functional

        from mtlkit.model.heads.ordered import log_likelihoods

        new, old = (log_likelihoods(logits / temperature) for logits in (now, before))
        return functional.kl_div(new, old, log_target=True, reduction="batchmean")

    def chance_loss(self, spec: TaskSpec) -> float:
        return math.log(len(spec.labels))

    def class_weights(self, spec: TaskSpec, labels: Array) -> ClassWeights | None:
        return (balanced_weights(np.bincount(labels, minlength=len(spec.labels))),)


def numbers_in(task: str, labels: Sequence[Label]) -> tuple[str, ...]:
    """The different numbers among labels, ascending. Raises DataError for a label that is none."""
    names = classes_in(labels)
    values = {name: number_or_none(name) for name in names}
    if wrong := [name for name, value in values.items() if value is None]:
        raise DataError(
            f"task '{task}': label {shown(wrong[0])} is not a number; specify ?order=, with all labels from low to high"
        )
    numbers = sorted({value for value in values.values() if value is not None})
    if len(numbers) < 2:
        raise DataError(f"task '{task}': all labels are {class_name(numbers[0])}; a head needs two classes to tell apart")
    return tuple(map(class_name, numbers))


KINDS.add(Ordinal())
