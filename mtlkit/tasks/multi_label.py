"""Multi-label: each row has any number of labels, or none."""

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
from mtlkit.data.labels.classes import class_numbers, classes_in, label_codes, parts_of, unknown_classes
from mtlkit.data.labels.codec import RowClasses
from mtlkit.data.labels.marks import Label
from mtlkit.data.labels.unsplit import separator_remarks, unsplit_remarks
from mtlkit.errors import DataError, listed
from mtlkit.evaluation.calibration import Forecast, forecast_of_labels
from mtlkit.evaluation.calibration_fit import fit_thresholds
from mtlkit.evaluation.class_figures import multi_label_figures
from mtlkit.evaluation.figures import Figures
from mtlkit.evaluation.intervals import Measure, Values
from mtlkit.evaluation.metric_names import ACCURACY, MACRO_F1, MICRO_F1, Metric
from mtlkit.evaluation.metrics import Array, macro_f1, multi_label
from mtlkit.inference.predictions import sigmoid
from mtlkit.tasks.base import ClassWeights, TaskKind, balanced_weights
from mtlkit.tasks.convex import ConvexLoss, SigmoidLoss

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from mtlkit.model.heads.losses import LossOptions


class MultiLabel(TaskKind):
    """Any number of labels a row. Outputs are a logit for each label; encoded labels are 0 and 1, (N, labels) float32."""

    name: ClassVar[str] = "multi-label"
    help: ClassVar[str] = "Any number of labels for each row, or none."
    rank: ClassVar[int] = 0
    classes: ClassVar[RowClasses] = "several"
    metrics: ClassVar[tuple[Metric, ...]] = (MACRO_F1, MICRO_F1, ACCURACY)
    outputs_help: ClassVar[str] = "For multi-label tasks, a sigmoid gives the probability of each label."

    def recognizes(self, labels: Sequence[Label]) -> bool:
        return any(isinstance(label, tuple) for label in labels)

    def remarks(self, labels: Sequence[Label], record: SourceRecord, location: str) -> Iterator[str]:
        if record.kind is not None:
            yield from list(unsplit_remarks(labels, record.sep, location)) or separator_remarks(labels, record.sep, location)

    def make_spec(self, task: str, labels: Sequence[Label], head: str, names: Sequence[str]) -> TaskSpec:
        classes = classes_in(labels, first=names)
        if not classes:
            raise DataError(f"task '{task}': no row has a label; a head needs two classes to tell apart")
        return TaskSpec(task, self.name, classes, head)

    def check_spec(self, spec: TaskSpec) -> None:
        if not spec.labels:
            raise ValueError(f"task '{spec.name}' has no labels")

    def check_varied(self, spec: TaskSpec, labels: Sequence[Label], column: str) -> None:
        if len({frozenset(parts_of(label)) for label in labels}) < 2:
            held = listed(dict.fromkeys(parts_of(labels[0]))) or "empty"
            raise nothing_to_learn(spec.name, column, held, len(labels))

    def unseen(self, spec: TaskSpec, labels: Sequence[Label]) -> Counter[str]:
        return unknown_classes(spec.labels, labels)

    def encode(self, spec: TaskSpec, labels: Sequence[Label]) -> tuple[NDArray[Any], NDArray[np.int64]]:
        numbers, rows = class_numbers(spec.labels, labels)
        marks = np.zeros((len(rows), len(spec.labels)), np.float32)
        for row, classes in enumerate(numbers):
            marks[row, classes] = 1.0
        return marks, rows

    def comparable(self, task: str, splits: Sequence[Sequence[Label]]) -> tuple[list[NDArray[np.float64]], float]:
        return label_codes(splits), 0.0

    def loss(self, spec: TaskSpec, outputs: Tensor, labels: Tensor, options: LossOptions) -> Tensor:
        from mtlkit.model.heads.losses import binary_cross_entropy

        return binary_cross_entropy(outputs, labels, options)

    def convex_loss(self, spec: TaskSpec, labels: Array, options: LossOptions, weights: Values) -> ConvexLoss | None:
        if options.focal:
            return None
        label_weights = None if options.class_weights is None else np.array(options.class_weights)
        return SigmoidLoss(labels.astype(np.float64), weights, label_weights, options.smoothing)

    def strata(self, spec: TaskSpec, labels: Array) -> NDArray[np.int64]:
        """By the rarest label of each row; rows without one are a stratum of their own."""
        rarity = np.argsort(np.argsort(labels.sum(0), kind="stable"), kind="stable")
        ranked = np.where(labels > 0.5, rarity, len(rarity))
        rarest: NDArray[np.int64] = ranked.min(1).astype(np.int64)
        return rarest

    def score(self, spec: TaskSpec, outputs: Array, labels: Array) -> dict[str, Any]:
        return multi_label(spec.labels, self.predicted(spec, outputs), labels > 0.5)

    def measure(self, spec: TaskSpec, outputs: Array, labels: Array) -> Measure:
        predicted, true = (side.astype(np.float64) for side in (self.predicted(spec, outputs), labels > 0.5))
        hits = predicted * true

        def measure(counts: Values) -> Values:
            scores: Values = macro_f1(counts @ hits, counts @ true, counts @ predicted)
            return scores

        return measure

    def predicted(self, spec: TaskSpec, outputs: Array) -> Array:
        """Which labels are predicted, (N, labels) bool: those above their threshold, or more likely than not without one."""
        chosen: Array = self.probabilities(spec, outputs) > np.array(spec.thresholds) if spec.thresholds else outputs > 0
        return chosen

    def figures(self, spec: TaskSpec, outputs: Array, labels: Array) -> Figures:
        probabilities = self.probabilities(spec, outputs.astype(np.float64))
        return multi_label_figures(spec.labels, labels > 0.5, self.predicted(spec, outputs), probabilities)

    def probabilities(self, spec: TaskSpec, outputs: Array) -> Array:
        return sigmoid(outputs)

    def fit_calibration(self, spec: TaskSpec, outputs: Array, labels: Array) -> Calibration | None:
        thresholds = fit_thresholds(self.probabilities(spec, outputs), labels)
        return Calibration("thresholds", thresholds=thresholds, rows=len(labels))

    def forecast(self, spec: TaskSpec, outputs: Array, labels: Array) -> Forecast | None:
        return forecast_of_labels(self.probabilities(spec, outputs), labels)

    def answer(self, spec: TaskSpec, row: list[float]) -> dict[str, Any]:
        """{"labels", "probabilities"}: the labels above their threshold (0.5 by default), and how likely each label is."""
        shares = dict(zip(spec.labels, row, strict=True))
        least = dict(zip(spec.labels, spec.thresholds or [0.5] * len(row), strict=True))
        return {"labels": [label for label, share in shares.items() if share > least[label]], "probabilities": shares}

    def in_short(self, answer: dict[str, Any]) -> str:
        return ", ".join(f"{label} {answer['probabilities'][label]:.0%}" for label in answer["labels"]) or "none"

    def sample(self, spec: TaskSpec, outputs: Tensor, noise: torch.Generator) -> Tensor:
        import torch

        return torch.bernoulli(outputs.sigmoid(), generator=noise)

    def log_likelihood(self, spec: TaskSpec, outputs: Tensor, labels: Tensor) -> Tensor:
        from torch.nn import functional

        return -functional.binary_cross_entropy_with_logits(outputs, labels, reduction="sum")

    def divergence(self, spec: TaskSpec, now: Tensor, before: Tensor, temperature: float) -> Tensor:
        """Kullback-Leibler divergence of each label's sigmoid at this temperature, the mean over texts and labels."""
        import torch
        from torch.nn import functional

        target = torch.sigmoid(before / temperature)
        least = functional.binary_cross_entropy_with_logits(before / temperature, target)
        return functional.binary_cross_entropy_with_logits(now / temperature, target) - least

    def chance_loss(self, spec: TaskSpec) -> float:
        return math.log(2)

    def class_weights(self, spec: TaskSpec, labels: Array) -> ClassWeights | None:
        """Of each label's absence and presence."""
        return tuple(balanced_weights(np.array([len(labels) - count, count])) for count in (labels > 0).sum(0))


def nothing_to_learn(task: str, column: str, held: str, rows: int) -> DataError:
    """That all rows have the same label."""
    where = f"all {rows:,} rows" if rows > 1 else "the only row to train on"
    return DataError(
        f"task '{task}': column '{column}' is {held} in {where}, so there is nothing to learn; give labels that differ, or "
        "specify ?label=NAME to read another column"
    )


KINDS.add(MultiLabel())
