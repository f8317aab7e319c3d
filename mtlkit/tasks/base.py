"""The base class of kinds of task: everything that depends on the kind, about labels, heads and metrics."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from mtlkit.config.architecture import Kind, TaskSpec
from mtlkit.config.calibration import Calibration
from mtlkit.config.registries.task_kinds import KINDS
from mtlkit.config.source_record import SourceRecord
from mtlkit.data.labels.classes import classes_in
from mtlkit.data.labels.codec import LabelCodec
from mtlkit.data.labels.marks import Label, RawLabel
from mtlkit.evaluation.calibration import Forecast
from mtlkit.evaluation.figures import Figures, Measured
from mtlkit.evaluation.intervals import Values
from mtlkit.evaluation.metric_names import Metric
from mtlkit.evaluation.metrics import Array
from mtlkit.evaluation.task_metrics import TaskMetrics
from mtlkit.inference.predictions import PredictionKind

if TYPE_CHECKING:  # torch is imported where it is used, so that names of kinds can be listed without it
    import torch
    from torch import Tensor

    from mtlkit.model.heads.base import Head
    from mtlkit.model.heads.losses import LossOptions
    from mtlkit.tasks.convex import ConvexLoss

ClassWeights = tuple[tuple[float, ...], ...]


class HeadLikelihood(Protocol):
    """The predictions of a head as a distribution over labels, for methods that preserve old heads, balance losses or weight
    classes."""

    loss_factor: ClassVar[float]

    def sample(self, spec: TaskSpec, outputs: Tensor, noise: torch.Generator) -> Tensor:
        """Labels drawn from outputs (N, outputs), in the form that the loss takes."""
        ...

    def log_likelihood(self, spec: TaskSpec, outputs: Tensor, labels: Tensor) -> Tensor:
        """Of labels under outputs (N, outputs), summed over texts, up to a constant."""
        ...

    def divergence(self, spec: TaskSpec, now: Tensor, before: Tensor, temperature: float) -> Tensor:
        """The distance of outputs from earlier ones of the same texts, both (N, outputs); 0 if they agree."""
        ...

    def chance_loss(self, spec: TaskSpec) -> float:
        """The loss of a head that knows nothing but how many labels there are."""
        ...

    def class_weights(self, spec: TaskSpec, labels: Array) -> ClassWeights | None:
        """Weights by which all classes of training labels count alike (`LossOptions.class_weights`); None without classes."""
        ...


class TaskKind(LabelCodec, TaskMetrics, PredictionKind, HeadLikelihood, ABC):
    """A kind of task. `help` says in a line what a label is. Labels of which nobody says the kind are of the first kind, in the
    order of `rank`, that recognizes them. `outputs_help` says in model cards what to do with outputs of a head,
    `hub_task` what the Hugging Face hub calls such a task.

    Encoded labels are an array with a row for each label. `loss_factor` is what the loss has to be multiplied by to be a negative
    log-likelihood with variance 1 (Kendall, Gal & Cipolla 2018): 1 for a cross-entropy, 1/2 for a squared error.
    """

    help: ClassVar[str]
    rank: ClassVar[int]
    outputs_help: ClassVar[str]
    hub_task: ClassVar[str] = "text-classification"
    checks_labels: ClassVar[bool] = False
    ordered: ClassVar[bool] = False
    loss_factor: ClassVar[float] = 1.0

    def recognizes(self, labels: Sequence[Label]) -> bool:
        return False  # only where a source says kind=NAME

    def claims(self, labels: Sequence[Label]) -> bool:
        return False

    def check_label(self, label: RawLabel, value: object) -> None:
        return None

    def check_inferred(self, labels: Sequence[Label], location: str) -> None:
        return None

    def remarks(self, labels: Sequence[Label], record: SourceRecord, location: str) -> Iterator[str]:
        yield from ()

    def extended(self, spec: TaskSpec, labels: Sequence[str], order: Sequence[str]) -> TaskSpec:
        return replace(spec.uncalibrated(), labels=(*spec.labels, *classes_in(labels)))

    def outputs(self, spec: TaskSpec) -> int:
        """The number of outputs of a head for a text."""
        return len(spec.labels) or 1

    def build_head(self, spec: TaskSpec, dim: int, dropout: float) -> Head:
        """A fresh head on vectors of length `dim`: linear layers, as `spec.head` says."""
        from mtlkit.model.heads.base import Head

        return Head(dim, spec, dropout)

    @abstractmethod
    def loss(self, spec: TaskSpec, outputs: Tensor, labels: Tensor, options: LossOptions) -> Tensor:
        """Mean loss of N texts, from outputs (N, outputs) in fp32 and their encoded labels."""

    def convex_loss(self, spec: TaskSpec, labels: Array, options: LossOptions, weights: Values) -> ConvexLoss | None:
        """The training loss as a convex function of the outputs of the last linear layer, for N encoded labels with a weight
        each, (N,); None if it is not convex, so that heads train by gradient steps only."""
        return None

    def covers(self, spec: TaskSpec, labels: Array) -> bool:
        """Whether N encoded labels have every class."""
        present = np.unique(labels) if self.classes == "one" else np.flatnonzero(labels.reshape(len(labels), -1).any(0))
        return self.classes == "none" or len(present) == len(spec.labels)

    def strata(self, spec: TaskSpec, labels: Array) -> NDArray[np.int64]:
        """The strata that cross-validation spreads evenly over its folds, as a number for each of N encoded labels."""
        return np.zeros(len(labels), np.int64)

    def groups(self, labels: Array) -> NDArray[np.int64] | None:
        """The number of the row that each encoded label belongs to, (N,), ascending; None if each is a row of its own."""
        return None

    def figures(self, spec: TaskSpec, outputs: Array, labels: Array) -> Figures:
        """The first metric; a kind with more returns those, too."""
        name, measure = self.metrics[0].name, self.measure(spec, outputs, labels)
        return Figures(len(labels), lambda counts: Measured({name: measure(counts)}, {}))

    def main_metric(self, spec: TaskSpec) -> Metric:
        return self.metrics[0]

    def examples(self, labels: Array) -> int:
        return len(labels)

    def decisions(self, spec: TaskSpec, outputs: Array) -> Array | None:
        return None

    def exact(self, spec: TaskSpec, outputs: Array, labels: Array) -> NDArray[np.bool_] | None:
        decided = self.decisions(spec, outputs)
        return None if decided is None else np.equal(decided, labels)

    def class_probabilities(self, spec: TaskSpec, outputs: Array) -> Array | None:
        return None

    def fit_calibration(self, spec: TaskSpec, outputs: Array, labels: Array) -> Calibration | None:
        """The calibration of a head, fitted on outputs (N, outputs) for rows that it was not trained on; None if the kind has
        none."""
        return None

    def forecast(self, spec: TaskSpec, outputs: Array, labels: Array) -> Forecast | None:
        """The probabilities of N rows and whether they were right; None for a kind without probabilities."""
        return None

    def class_weights(self, spec: TaskSpec, labels: Array) -> ClassWeights | None:
        return None


def kind_of(name: Kind) -> TaskKind:
    """The kind of task of this name."""
    return cast(TaskKind, KINDS[name])


def balanced_weights(counts: Array) -> tuple[float, ...]:
    """Weights N / (C N_c) of classes with N_c texts each, for the C classes that occur (King & Zeng 2001; scikit-learn's
    "balanced"). Their mean over the texts is 1, which leaves the effective learning rate unchanged. A class without texts has
    weight 1, which is not used."""
    occurring = int((counts > 0).sum())
    return tuple(float(counts.sum() / (occurring * count)) if count else 1.0 for count in counts)
