"""An example of a new kind of task: ordered classes with their own metric, in one file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from mtlkit.config.architecture import TaskSpec
from mtlkit.data.labels.marks import Label, RawLabel
from mtlkit.evaluation.intervals import Measure, mean_of
from mtlkit.evaluation.metric_names import ACCURACY, Metric
from mtlkit.evaluation.metrics import Array
from mtlkit.tasks.classification import Classification

if TYPE_CHECKING:
    from torch import Tensor

    from mtlkit.model.heads.losses import LossOptions

NEAR = Metric("near", "within one", "points within one", in_epochs=True)


class Graded(Classification):
    """Grades from 1 up. Grades are predicted as classes, and a grade next to the right one counts as near."""

    name: ClassVar[str] = "graded"
    help: ClassVar[str] = "A grade for each row: 1, 2, 3, ..."
    rank: ClassVar[int] = 200
    metrics: ClassVar[tuple[Metric, ...]] = (NEAR, ACCURACY)
    outputs_help: ClassVar[str] = "For graded tasks, the largest column is the grade."
    checks_labels: ClassVar[bool] = True

    def recognizes(self, labels: Sequence[Label]) -> bool:
        return False

    def claims(self, labels: Sequence[Label]) -> bool:
        return all(str(label).isdecimal() for label in labels)

    def check_label(self, label: RawLabel, value: object) -> None:
        if not str(label).isdecimal():
            raise ValueError(f"{value!r}, which is no grade")

    def loss(self, spec: TaskSpec, outputs: Tensor, labels: Tensor, options: LossOptions) -> Tensor:
        """Cross-entropy, and the squared distance of the expected grade."""
        import torch

        places = torch.arange(outputs.shape[1], dtype=outputs.dtype)
        expected = (outputs.softmax(-1) * places).sum(-1)
        return super().loss(spec, outputs, labels, options) + 0.1 * (expected - labels).square().mean()

    def score(self, spec: TaskSpec, outputs: Array, labels: Array) -> dict[str, Any]:
        near = float((np.abs(outputs.argmax(1) - labels) <= 1).mean())
        return {"near": near, **super().score(spec, outputs, labels)}

    def measure(self, spec: TaskSpec, outputs: Array, labels: Array) -> Measure:
        return mean_of(np.abs(outputs.argmax(1) - labels) <= 1)

    def in_short(self, answer: dict[str, Any]) -> str:
        return f"grade {answer['label']}"
