"""From what heads give to what a user reads."""

from __future__ import annotations

from typing import Any

import numpy as np

from mtlkit.config.architecture import TaskSpec
from mtlkit.inference.engine import Array


def probabilities(spec: TaskSpec, outputs: Array) -> Array:
    """Class probabilities, label probabilities, or the predicted value, each (N, outputs)."""
    if spec.kind == "regression":
        return outputs
    if spec.kind == "multi-label":
        sigmoid: Array = np.exp(-np.logaddexp(np.float32(0), -outputs))  # 1 / (1 + exp(-x)) without its overflow
        return sigmoid
    powers = np.exp(outputs - outputs.max(1, keepdims=True))
    softmax: Array = powers / powers.sum(1, keepdims=True)
    return softmax


def answers(spec: TaskSpec, outputs: Array) -> list[dict[str, Any]]:
    """One dict a text: {"label", "probability", "probabilities"} for classification, {"labels", "probabilities"} for
    multi-label, {"value"} for regression."""
    return [_answer(spec, row) for row in probabilities(spec, outputs).tolist()]


def _answer(spec: TaskSpec, row: list[float]) -> dict[str, Any]:
    if spec.kind == "regression":
        return {"value": row[0]}
    found = dict(zip(spec.labels, row, strict=True))
    if spec.kind == "multi-label":
        return {"labels": [label for label, value in found.items() if value > 0.5], "probabilities": found}
    best = max(found, key=lambda label: found[label])
    return {"label": best, "probability": found[best], "probabilities": found}
