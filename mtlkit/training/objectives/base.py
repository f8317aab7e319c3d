"""Objectives: a loss on the vectors of examples, and metrics on the vectors of validation examples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtlkit.batch import Batch
from mtlkit.data.batching import Rows
from mtlkit.data.datasets.task_data import TaskData
from mtlkit.data.encoded import Encoded
from mtlkit.evaluation.task_metrics import main_metric
from mtlkit.inference.encoding import evaluate, outputs_of_head
from mtlkit.inference.engine import Array
from mtlkit.model.losses import PLAIN, LossOptions
from mtlkit.model.multitask import MultiTaskModel


class ExampleSet(Protocol):
    """Examples of one or two texts each. `encoded` holds all texts."""

    @property
    def encoded(self) -> Encoded: ...

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Number of tokens of each example, (N,)."""
        ...

    def batch(self, rows: Rows) -> Batch:
        """The texts of these examples as a batch, whose `rows` index the encoded texts."""
        ...


class Objective(Protocol):
    """What a model is trained on. `kind` is its name, `metric` the metric that selects the best epoch (higher is better)."""

    @property
    def kind(self) -> str: ...

    @property
    def metric(self) -> str: ...

    @property
    def head(self) -> str | None:
        """The head that it trains in addition to the backbone. If that is frozen, the objective is only evaluated."""
        ...

    @property
    def train(self) -> ExampleSet: ...

    @property
    def validation(self) -> ExampleSet: ...

    def loss(self, vectors: Tensor, rows: Rows) -> Tensor:
        """Mean loss of a batch, from the vectors of its texts, (texts, D), and their indices among the encoded training texts."""
        ...

    def untaught(self, rows: Rows) -> int:
        """How many of these training examples contribute nothing to the loss of a batch made of them."""
        ...

    def evaluate(self, vectors: Tensor) -> dict[str, Any]:
        """Loss and metrics, from the vectors of all encoded validation texts, (texts, D). Undefined metrics are None, and
        `undefined` maps their names to the reasons.
        """
        ...


class HeadObjective:
    """The labels of a task, predicted by its head in the model.

    `options` change the training loss only. The validation loss is always the plain one, so that runs with different options can
    be compared; class weights of training labels would not fit other labels.
    """

    def __init__(self, model: MultiTaskModel, task: TaskData, options: LossOptions = PLAIN) -> None:
        self.model, self.task, self.options = model, task, options
        self.kind, self.metric = task.spec.kind, main_metric(task.spec)
        self.head: str | None = f"head:{task.name}"
        self.train, self.validation = task.train, task.validation

    def loss(self, vectors: Tensor, rows: Rows) -> Tensor:
        head = self.model.head(self.task.name)
        labels = torch.from_numpy(self.train.labels[rows]).to(vectors.device)
        return head.loss(head(vectors), labels, self.options)

    def untaught(self, rows: Rows) -> int:
        return 0

    def evaluate(self, vectors: Tensor) -> dict[str, Any]:
        return evaluate(self.model, self.task.name, self.validation, vectors)

    def outputs(self, vectors: Tensor) -> Array:
        """Outputs of the head for texts with these vectors, (N, outputs) float32."""
        return outputs_of_head(self.model, self.task.name, vectors)


def head_objectives(
    model: MultiTaskModel, tasks: Mapping[str, TaskData], options: Mapping[str, LossOptions] | None = None
) -> dict[str, HeadObjective]:
    """An objective for each task; the model must have their heads. `options` contains the tasks whose training loss is not the
    plain one.
    """
    return {name: HeadObjective(model, task, (options or {}).get(name, PLAIN)) for name, task in tasks.items()}
