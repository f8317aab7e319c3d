"""What a training learns of its examples: a loss of their vectors, and how good the vectors of unseen examples are."""

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
from mtlkit.inference.encoding import evaluate, outputs_of
from mtlkit.inference.engine import Array
from mtlkit.model.losses import PLAIN, LossOptions
from mtlkit.model.multitask import MultiTaskModel


class ExampleSet(Protocol):
    """Examples of a text or two. `encoded` holds all their texts."""

    @property
    def encoded(self) -> Encoded: ...

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each example, (N,)."""
        ...

    def batch(self, rows: Rows) -> Batch:
        """The texts of these examples; the batch's own `rows` say which of the encoded texts stands where."""
        ...


class Objective(Protocol):
    """One class a way to learn. `kind` names it, `metric` is the figure that the best epoch is chosen by (higher is better)."""

    @property
    def kind(self) -> str: ...

    @property
    def metric(self) -> str: ...

    @property
    def head(self) -> str | None:
        """The head that it trains besides the backbone; where that is frozen, the objective is only watched."""
        ...

    @property
    def train(self) -> ExampleSet: ...

    @property
    def validation(self) -> ExampleSet: ...

    def loss(self, vectors: Tensor, rows: Rows) -> Tensor:
        """Mean loss of a batch: the vectors of its texts, (texts, D), and which of the encoded training texts they are."""
        ...

    def untaught(self, rows: Rows) -> int:
        """How many of these training examples teach nothing when they are a batch."""
        ...

    def evaluate(self, vectors: Tensor) -> dict[str, Any]:
        """Loss and metrics of the vectors of all encoded validation texts, (texts, D). A figure that is not defined is None, and
        `undefined` says why, by name."""
        ...


class HeadObjective:
    """A task's labels, by way of its head in the model.

    `options` are of the training loss alone. The loss of validation is always the plain one: whatever a training tried, its
    runs can be compared, and class weights of the training labels would not fit other labels.
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
        """What the head says of texts with these vectors, (N, outputs) float32."""
        return outputs_of(self.model, self.task.name, vectors)


def head_objectives(
    model: MultiTaskModel, tasks: Mapping[str, TaskData], options: Mapping[str, LossOptions] | None = None
) -> dict[str, HeadObjective]:
    """An objective a task, for a model that has a head for each; `options` are of those whose training loss is not the plain
    one."""
    return {name: HeadObjective(model, task, (options or {}).get(name, PLAIN)) for name, task in tasks.items()}
