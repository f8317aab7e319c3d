"""The evaluated rows of a task, with what the head gives for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtlkit.config.architecture import TaskSpec
from mtlkit.data.datasets.labelled_table import LabelledTable
from mtlkit.data.datasets.task_data import LabelledTexts
from mtlkit.evaluation.metrics import Array


@dataclass(frozen=True)
class EvaluatedRows:
    """N rows of a task: outputs of its head, (N, outputs), encoded labels, texts, where each row is in its source (empty unless
    places were kept), for pairs the second texts, and for labelled words where they are in each text, (n, 2). Outputs and labels
    are then those of all words."""

    spec: TaskSpec
    outputs: Array
    labels: Array
    texts: Sequence[str]
    places: Sequence[str]
    seconds: Sequence[str] = ()
    words: Sequence[NDArray[np.int64]] = ()

    @property
    def shown(self) -> Sequence[str]:
        """The text of each row, for display; of a pair, both."""
        return [" | ".join(pair) for pair in zip(self.texts, self.seconds, strict=True)] if self.seconds else self.texts


def evaluated_rows(spec: TaskSpec, table: LabelledTable, prepared: LabelledTexts, outputs: Array) -> EvaluatedRows:
    """The rows of a table that were evaluated."""
    known = table.select(prepared.rows)
    return EvaluatedRows(spec, outputs, prepared.labels, known.texts, known.places, known.seconds, known.words)
