"""From what heads give to what a user reads, by the kind of their task."""

from __future__ import annotations

from typing import Any, Protocol, cast

import numpy as np

from mtlkit.config.architecture import Kind, TaskSpec
from mtlkit.config.registries.task_kinds import KINDS
from mtlkit.evaluation.metrics import Array


class PredictionKind(Protocol):
    """How outputs of one kind of task are read."""

    def probabilities(self, spec: TaskSpec, outputs: Array) -> Array:
        """Probabilities of labels, (N, labels), or predicted values, (N, 1), from outputs, (N, outputs)."""
        ...

    def class_probabilities(self, spec: TaskSpec, outputs: Array) -> Array | None:
        """Calibrated probabilities, (N, C), of classes of which a text has exactly one; None for other kinds."""
        ...

    def answer(self, spec: TaskSpec, row: list[float]) -> dict[str, Any]:
        """What `predict` gives for a text, from one row of `probabilities`."""
        ...

    def in_short(self, answer: dict[str, Any]) -> str:
        """An answer as a cell of a table."""
        ...


def prediction_kind(kind: Kind) -> PredictionKind:
    """How outputs of a kind of task are read."""
    return cast(PredictionKind, KINDS[kind])


def probabilities(spec: TaskSpec, outputs: Array) -> Array:
    """Class or label probabilities, (N, labels), or the predicted value, (N, 1)."""
    return prediction_kind(spec.kind).probabilities(spec, outputs)


def answers(spec: TaskSpec, outputs: Array) -> list[dict[str, Any]]:
    """One dict a text: {"label", "probability", "probabilities"} for classification, {"labels", "probabilities"} for
    multi-label, {"value"} for regression; other kinds have their own."""
    kind = prediction_kind(spec.kind)
    return [kind.answer(spec, row) for row in kind.probabilities(spec, outputs).tolist()]


def softmax(outputs: Array) -> Array:
    """Probabilities of classes, (N, C), from logits of that shape."""
    powers = np.exp(outputs - outputs.max(1, keepdims=True))
    found: Array = powers / powers.sum(1, keepdims=True)
    return found


def sigmoid(outputs: Array) -> Array:
    """Probabilities of labels that are there or not, from logits of the same shape."""
    found: Array = np.exp(-np.logaddexp(np.float32(0), -outputs))  # 1 / (1 + exp(-x)) without its overflow
    return found
