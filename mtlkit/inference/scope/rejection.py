"""Marks predictions for texts that fit no class as rejected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtlkit.config.architecture import TaskSpec
from mtlkit.errors import UsageError
from mtlkit.evaluation.metrics import Array
from mtlkit.inference.predictions import TextPairs, prediction_kind
from mtlkit.inference.scope.scope import Predicted, Reject, Scope
from mtlkit.runs.record import MARKS, RunRecord, marked_tasks

NONE_OF_THESE = "none of these"


def is_blank(text: str | Sequence[str]) -> bool:
    """Whether a text, or one of a pair of texts, has nothing but white space."""
    return not text.strip() if isinstance(text, str) else any(map(is_blank, text))


def can_reject(spec: TaskSpec) -> bool:
    """Whether a text can fit none of the classes that a head predicts; not where it may have no label anyway."""
    zeros = np.zeros((1, spec.outputs), np.float32)
    return prediction_kind(spec.kind).class_probabilities(spec, zeros) is not None


def missing_scope(record: RunRecord | None, names: Sequence[str]) -> str:
    """Why the heads of these tasks, which could reject, cannot, and what to do."""
    if record is None:
        return "it is not a run of mtlkit, so it has no training vectors to compare with; use a run"
    if record.options.get("prototypes") == 0:
        return "it was trained with --prototypes 0, so it has no training vectors to compare with; train again without it"
    if set(names) & set(marked_tasks(record.metrics, *MARKS)):
        return "no rows were held out of the training to set a threshold on; train again with more rows held out"
    return "it was trained with an earlier version, so it has no training vectors to compare with; train again"


def predicted(spec: TaskSpec, outputs: Array, vectors: NDArray[Any]) -> Predicted:
    """What a head that can reject predicts for N texts, from its outputs, (N, outputs), and their vectors, (N, D)."""
    probabilities = prediction_kind(spec.kind).class_probabilities(spec, outputs)
    assert probabilities is not None
    return Predicted(probabilities.argmax(1), probabilities.max(1), vectors)


class Rejection:
    """Rejects the share `rate` of the texts that fit, and whatever fits less. Raises UsageError for a rate outside 0 to 1."""

    def __init__(self, rate: Reject, scopes: Mapping[str, Scope]) -> None:
        self.scopes, self.thresholds = scopes, {name: scope.threshold(checked(rate)) for name, scope in scopes.items()}

    def add_to(
        self, rows: list[dict[str, Any]], spec: TaskSpec, outputs: Array, vectors: Array, texts: Sequence[str] | TextPairs
    ) -> None:
        """Adds "rejected", "score" and "threshold" to the answers of a head."""
        scope, threshold = self.scopes.get(spec.name), self.thresholds.get(spec.name)
        scores = [None] * len(rows) if scope is None else scope.score(predicted(spec, outputs, vectors)).tolist()
        for row, score, text in zip(rows, scores, texts, strict=True):
            below = score is not None and threshold is not None and score < threshold
            row.update(rejected=below or is_blank(text), score=score, threshold=threshold)


def checked(rate: Reject) -> Reject:
    """The rate. Raises UsageError unless it is "auto" or a share between 0 and 1."""
    if rate != "auto" and not (isinstance(rate, float | int) and 0 <= rate < 1):
        raise UsageError(f"reject {rate!r} is not a share of texts, such as 0.05, or auto; use a number from 0 up to 1")
    return rate
