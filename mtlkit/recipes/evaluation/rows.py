"""The evaluated rows of a task, with what the head gives for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mtlkit.config.architecture import TaskSpec
from mtlkit.data.datasets.labelled import LabelledTable
from mtlkit.data.datasets.task_data import LabelledTexts
from mtlkit.evaluation.metrics import Array


@dataclass(frozen=True)
class EvaluatedRows:
    """N rows of a task: outputs of its head, (N, outputs), encoded labels, texts, and where each row is in its source (empty
    unless places were kept)."""

    spec: TaskSpec
    outputs: Array
    labels: Array
    texts: Sequence[str]
    places: Sequence[str]


def evaluated_rows(spec: TaskSpec, table: LabelledTable, prepared: LabelledTexts, outputs: Array) -> EvaluatedRows:
    """The rows of a table that were evaluated."""
    places = [table.places[row] for row in prepared.rows] if table.places else []
    return EvaluatedRows(spec, outputs, prepared.labels, [table.texts[row] for row in prepared.rows], places)
