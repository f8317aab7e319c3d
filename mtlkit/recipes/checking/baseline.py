"""The bag-of-words baseline of a task, on the rows that `check-data` and trainings read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mtlkit.data.batching import Rows
from mtlkit.data.datasets.held_out import limited
from mtlkit.data.datasets.labelled_table import LabelledTable
from mtlkit.data.labels.codec import codec_of, infer_kind
from mtlkit.errors import UsageError
from mtlkit.evaluation.bag_of_words import Classes, Example, WordsBaseline, cross_validated, has_scikit_learn, scored_on

MOST_TRAINED = 5_000  # rows of the training split, and
MOST_CROSS_VALIDATED = 2_000  # rows of cross-validation: a few seconds


@dataclass(frozen=True)
class BaselineRows:
    """The training and validation rows of a task; `held_out`: the latter are not a split of their own."""

    train: LabelledTable
    validation: LabelledTable
    held_out: bool

    @property
    def has_classes(self) -> bool:
        """Whether each row has one class."""
        kind = self.train.record.kind or infer_kind(self.train.labels)
        return codec_of(kind).classes == "one"

    def measure(self) -> WordsBaseline | None:
        """Cross-validated on all rows if the validation rows are held out of training, else scored on them. Large sets are
        limited. None for a task without classes, or with too few rows.
        """
        if not self.has_classes:
            return None
        texts: list[Example] = [*self.train.pairs, *self.validation.pairs] if self.train.seconds else []
        texts = texts or [*self.train.texts, *self.validation.texts]
        classes: Classes = np.unique([*map(str, self.train.labels), *map(str, self.validation.labels)], return_inverse=True)[1]
        split = len(self.train)
        if self.held_out:
            rows = limited(len(texts), MOST_CROSS_VALIDATED)
            return cross_validated(_of(texts, rows), classes[rows])
        rows = limited(split, MOST_TRAINED)
        return scored_on(_of(texts, rows), classes[rows], texts[split:], classes[split:])


def _of(texts: list[Example], rows: Rows) -> list[Example]:
    return [texts[row] for row in rows]


def check_baseline(objective: str) -> None:
    """Raises UsageError if `check-data --baseline` cannot be: without scikit-learn, or where tasks have no labels."""
    if objective != "classify":
        raise UsageError(f"--baseline classifies by label, and --objective {objective} has none; remove one of them")
    if not has_scikit_learn():
        raise UsageError("--baseline needs scikit-learn; install it with: pip install 'mtlkit[probe]'")
