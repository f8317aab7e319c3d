"""Classification: each row has one of several classes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mtlkit.config.architecture import TaskSpec
from mtlkit.config.calibration import Calibration
from mtlkit.config.registries.task_kinds import KINDS
from mtlkit.config.source_record import SourceRecord
from mtlkit.data.labels.classes import class_numbers, classes_in, label_codes, unknown_classes
from mtlkit.data.labels.codec import RowClasses
from mtlkit.data.labels.marks import Label
from mtlkit.data.labels.numbers import check_classes, check_numbers, number_remarks
from mtlkit.data.labels.unsplit import unsplit_remarks
from mtlkit.errors import DataError, listed
from mtlkit.evaluation.calibration import Forecast, forecast_of_classes
from mtlkit.evaluation.calibration_fit import fit_temperature
from mtlkit.evaluation.class_figures import classification_figures
from mtlkit.evaluation.figures import Figures, joined
from mtlkit.evaluation.intervals import Measure, Values, mean_of
from mtlkit.evaluation.metric_names import ACCURACY, MACRO_F1, Metric
from mtlkit.evaluation.metrics import Array, classification, confusion
from mtlkit.inference.predictions import softmax
from mtlkit.tasks.base import ClassWeights, TaskKind, balanced_weights
from mtlkit.tasks.convex import ConvexLoss, SoftmaxLoss

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from mtlkit.model.heads.losses import LossOptions


class Classification(TaskKind):
    """One class a row. Outputs are logits; encoded labels are numbers of classes, (N,) int64."""

    name: ClassVar[str] = "classification"
    help: ClassVar[str] = "One of several classes for each row."
    rank: ClassVar[int] = 100  # the last: any labels can be names of classes
    classes: ClassVar[RowClasses] = "one"
    metrics: ClassVar[tuple[Metric, ...]] = (ACCURACY, MACRO_F1)
    outputs_help: ClassVar[str] = "For classification, a softmax over the columns gives probabilities."

    def recognizes(self, labels: Sequence[Label]) -> bool:
        return True

    def check_inferred(self, labels: Sequence[Label], location: str) -> None:
        check_numbers(labels, location)
        check_classes(labels, location)

    def remarks(self, labels: Sequence[Label], record: SourceRecord, location: str) -> Iterator[str]:
        if record.kind is None:
            yield from number_remarks(labels, location)
            yield from unsplit_remarks(labels, record.sep, location)

    def make_spec(self, task: str, labels: Sequence[Label], head: str, names: Sequence[str]) -> TaskSpec:
        if any(isinstance(label, tuple) for label in labels):
            raise DataError(f"task '{task}': some labels are lists, which {self.name} cannot have; specify ?kind=multi-label")
        classes = classes_in(labels)
        if len(classes) < 2:
            rows = f"all {len(labels)} rows have" if len(labels) > 1 else "the only row to train on has"
            problem = f"{rows} the label '{listed(classes)}'" if classes else "no row has a label"
            raise DataError(f"task '{task}': {problem}; a head needs two classes to tell apart")
        return TaskSpec(task, self.name, classes, head)

    def check_spec(self, spec: TaskSpec) -> None:
        if not spec.labels:
            raise ValueError(f"task '{spec.name}' has no labels")

    def check_varied(self, spec: TaskSpec, labels: Sequence[Label], column: str) -> None:
        return None  # `make_spec` asks for two classes

    def unseen(self, spec: TaskSpec, labels: Sequence[Label]) -> Counter[str]:
        return unknown_classes(spec.labels, labels)

    def check_single(self, spec: TaskSpec, labels: Sequence[Label]) -> None:
        """Raises DataError if a label is a list of several."""
        if any(isinstance(label, tuple) and len(label) != 1 for label in labels):
            raise DataError(f"task '{spec.name}': some labels are lists, and its head predicts one class; give one label per row")

    def encode(self, spec: TaskSpec, labels: Sequence[Label]) -> tuple[NDArray[Any], NDArray[np.int64]]:
        self.check_single(spec, labels)
        numbers, rows = class_numbers(spec.labels, labels)
        return np.array([classes[0] for classes in numbers], np.int64), rows

    def comparable(self, task: str, splits: Sequence[Sequence[Label]]) -> tuple[list[NDArray[np.float64]], float]:
        return label_codes(splits), 0.0

    def loss(self, spec: TaskSpec, outputs: Tensor, labels: Tensor, options: LossOptions) -> Tensor:
        from mtlkit.model.heads.losses import cross_entropy

        return cross_entropy(outputs, labels, options)

    def convex_loss(self, spec: TaskSpec, labels: Array, options: LossOptions, weights: Values) -> ConvexLoss | None:
        if options.focal:
            return None
        if options.class_weights is not None:
            weights = weights * np.array(options.class_weights[0])[labels]
        return self.class_loss(spec, labels, options, weights)

    def class_loss(self, spec: TaskSpec, labels: Array, options: LossOptions, weights: Values) -> ConvexLoss:
        """The convex loss of rows with these weights, (N,), which class weights are part of."""
        return SoftmaxLoss(labels, spec.outputs, weights, options.smoothing)

    def strata(self, spec: TaskSpec, labels: Array) -> NDArray[np.int64]:
        return labels

    def score(self, spec: TaskSpec, outputs: Array, labels: Array) -> dict[str, Any]:
        return classification(spec.labels, confusion(len(spec.labels), labels, outputs.argmax(1)))

    def measure(self, spec: TaskSpec, outputs: Array, labels: Array) -> Measure:
        return mean_of(outputs.argmax(1) == labels)

    def figures(self, spec: TaskSpec, outputs: Array, labels: Array) -> Figures:
        probabilities = self.probabilities(spec, outputs.astype(np.float64))  # of which fewer are equal than in float32
        figures = classification_figures(spec.labels, labels, outputs.argmax(1), probabilities)
        return joined(super().figures(spec, outputs, labels), figures)

    def decisions(self, spec: TaskSpec, outputs: Array) -> Array | None:
        decided: Array = outputs.argmax(1)
        return decided

    def probabilities(self, spec: TaskSpec, outputs: Array) -> Array:
        return softmax(outputs if spec.temperature == 1.0 else outputs / spec.temperature)

    def class_probabilities(self, spec: TaskSpec, outputs: Array) -> Array | None:
        return self.probabilities(spec, outputs)

    def fit_calibration(self, spec: TaskSpec, outputs: Array, labels: Array) -> Calibration | None:
        return Calibration("temperature", fit_temperature(outputs, labels), rows=len(labels))

    def forecast(self, spec: TaskSpec, outputs: Array, labels: Array) -> Forecast | None:
        return forecast_of_classes(self.probabilities(spec, outputs), labels)

    def answer(self, spec: TaskSpec, row: list[float]) -> dict[str, Any]:
        """{"label", "probability", "probabilities"}: the likeliest class, how likely it is, and how likely each class is."""
        shares = dict(zip(spec.labels, row, strict=True))
        best = max(shares, key=lambda label: shares[label])
        return {"label": best, "probability": shares[best], "probabilities": shares}

    def in_short(self, answer: dict[str, Any]) -> str:
        return f"{answer['label']} {answer['probability']:.0%}"

    def sample(self, spec: TaskSpec, outputs: Tensor, noise: torch.Generator) -> Tensor:
        import torch

        return torch.multinomial(outputs.softmax(-1), 1, generator=noise).squeeze(-1)

    def log_likelihood(self, spec: TaskSpec, outputs: Tensor, labels: Tensor) -> Tensor:
        from torch.nn import functional

        return -functional.cross_entropy(outputs, labels, reduction="sum")

    def divergence(self, spec: TaskSpec, now: Tensor, before: Tensor, temperature: float) -> Tensor:
        """Kullback-Leibler divergence of the softmax at this temperature, the mean over texts."""
        from torch.nn import functional

        new, old = (functional.log_softmax(logits / temperature, -1) for logits in (now, before))
        return functional.kl_div(new, old, log_target=True, reduction="batchmean")

    def chance_loss(self, spec: TaskSpec) -> float:
        return math.log(max(2, spec.outputs))

    def class_weights(self, spec: TaskSpec, labels: Array) -> ClassWeights | None:
        return (balanced_weights(np.bincount(labels, minlength=spec.outputs)),)


KINDS.add(Classification())
