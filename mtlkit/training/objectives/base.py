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
from mtlkit.data.datasets.task_data import LabelledTexts, TaskData
from mtlkit.data.encoded import Encoded
from mtlkit.evaluation.task_metrics import main_metric
from mtlkit.inference.encoding import evaluate, outputs_of_head
from mtlkit.inference.engines.base import Array
from mtlkit.model.heads.losses import PLAIN, LossOptions
from mtlkit.model.heads.pair_vectors import head_inputs
from mtlkit.model.multitask import MultiTaskModel


class ExampleSet(Protocol):
    """Examples of one or two texts each. `encoded` contains all texts."""

    @property
    def encoded(self) -> Encoded: ...

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Number of tokens of each example, (N,)."""
        ...

    def texts_of(self, rows: Rows) -> Rows:
        """The indices of the texts of these examples among the encoded ones, each once."""
        ...

    def batch(self, rows: Rows) -> Batch:
        """The texts of these examples as a batch; its `rows` are indices into `encoded`."""
        ...


class Objective(Protocol):
    """What a model is trained on. `kind` is its name; `metric` is the metric that selects the best weights (higher is better)."""

    @property
    def kind(self) -> str: ...

    @property
    def metric(self) -> str: ...

    @property
    def head(self) -> str | None:
        """The head that is trained in addition to the backbone; None if there is none. If the head never trains, the objective is
        only evaluated.
        """
        ...

    @property
    def compares_texts(self) -> bool:
        """Whether the loss compares the texts of a batch with each other: it is not the mean of losses of examples."""
        ...

    @property
    def train(self) -> ExampleSet: ...

    @property
    def validation(self) -> ExampleSet: ...

    def loss(self, vectors: Tensor, rows: Rows) -> Tensor:
        """The mean loss of a batch, from the vectors of its texts, (N, D), and their indices among the encoded training texts,
        (N,). For the head of a task, from what `inputs_of_batch` gives.
        """
        ...

    def untaught(self, rows: Rows) -> int:
        """How many of these training examples contribute nothing to the loss when they form a batch."""
        ...

    def evaluate(self, vectors: Tensor) -> dict[str, Any]:
        """The loss and metrics, from `all_inputs` of the vectors of all encoded validation texts. An undefined metric is None,
        and the entry `undefined` maps its name to the reason.
        """
        ...


def inputs_of_batch(examples: ExampleSet, vectors: Tensor, texts: Rows, rows: Rows) -> tuple[Tensor, Rows]:
    """What an objective reads for the examples `rows`, and its indices: the vectors of their texts, (N, D), whose numbers are
    `texts`; for examples that are a pair of texts for a head, what it combines them to, (N, width), in the order of `rows`.
    """
    if isinstance(examples, LabelledTexts) and examples.pairs is not None:
        return head_inputs(vectors, examples.places(texts, rows)), rows
    return vectors, texts


def all_inputs(examples: ExampleSet, vectors: Tensor) -> Tensor:
    """What an objective reads for all examples, from the vectors of all encoded texts, (M, D)."""
    return head_inputs(vectors, examples.pairs) if isinstance(examples, LabelledTexts) else vectors


class HeadObjective:
    """Predicts the labels of a task with its head.

    `options` change only the training loss. The validation loss is always the plain one, so that runs with different options can
    be compared.
    """

    compares_texts = False

    def __init__(self, model: MultiTaskModel, task: TaskData, options: LossOptions = PLAIN) -> None:
        self.model, self.task, self.options = model, task, options
        self.kind, self.metric = task.spec.kind, main_metric(task.spec)
        self.head: str | None = f"head:{task.name}"
        self.train, self.validation = task.train, task.validation

    def loss(self, vectors: Tensor, rows: Rows) -> Tensor:
        head = self.model.head(self.task.name)
        if not len(rows):  # windows within one long word
            nothing: Tensor = head(vectors).sum()
            return nothing
        labels = torch.from_numpy(self.train.labels[rows]).to(vectors.device)
        return head.loss(head(vectors), labels, self.options)

    def untaught(self, rows: Rows) -> int:
        return 0

    def evaluate(self, vectors: Tensor) -> dict[str, Any]:
        return evaluate(self.model, self.task.name, self.validation, vectors)

    def plain_loss(self, outputs: Array, labels: NDArray[Any]) -> float:
        """The validation loss of outputs (N, outputs) of the head."""
        return self.model.head(self.task.name).loss(torch.from_numpy(outputs), torch.from_numpy(labels)).item()

    def outputs(self, vectors: Tensor) -> Array:
        """The outputs of the head for its validation rows, float32 (N, outputs), from what it reads for them, (N, width)."""
        return outputs_of_head(self.model, self.task.name, vectors, self.validation.begins)


def head_objectives(
    model: MultiTaskModel, tasks: Mapping[str, TaskData], options: Mapping[str, LossOptions] | None = None
) -> dict[str, HeadObjective]:
    """An objective for each task; the model must have its head. `options` are for tasks whose training loss is not the plain
    one.
    """
    return {name: HeadObjective(model, task, (options or {}).get(name, PLAIN)) for name, task in tasks.items()}
