"""Tokenized data of a task for training: token ids and label arrays."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtlkit.batch import Batch
from mtlkit.config.architecture import TaskSpec
from mtlkit.config.source_record import SourceRecord
from mtlkit.data.cache import encode_cached, fingerprint
from mtlkit.data.datasets.label_reader import joining_key
from mtlkit.data.datasets.labelled import LabelledTable
from mtlkit.data.datasets.labels import encode_labels, unseen_labels
from mtlkit.data.datasets.values import quoted
from mtlkit.data.encoded import Encoded
from mtlkit.data.tokenization.tokenizer import TextEncoder
from mtlkit.errors import DataError


@dataclass(frozen=True)
class LabelledTexts:
    """Rows with a label that the head knows. `rows` are their indices in the table; `unseen` counts the dropped rows by label."""

    encoded: Encoded
    labels: NDArray[Any]
    rows: NDArray[np.int64]
    unseen: Counter[str]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each text, (N,)."""
        return self.encoded.lengths

    def batch(self, rows: NDArray[np.int64]) -> Batch:
        """The texts of these rows as one flat batch."""
        return self.encoded.batch(rows)


@dataclass(frozen=True)
class TaskData:
    """A task with its training and validation rows, and how these were read. `held_out`: the validation rows are training rows of
    the source that were left out, not a split of it."""

    spec: TaskSpec
    train: LabelledTexts
    validation: LabelledTexts
    fingerprint: dict[str, Any]
    record: SourceRecord
    held_out: bool = False

    @property
    def name(self) -> str:
        return self.spec.name


def prepare(spec: TaskSpec, table: LabelledTable, encoder: TextEncoder) -> LabelledTexts:
    """A table as token ids and label arrays. Raises DataError if it has rows, and none has a label that the head knows."""
    labels, rows = encode_labels(spec, table.labels)
    unseen = unseen_labels(spec, table.labels)
    if not len(rows) and len(table):
        labels_of_both = f"data: {quoted(unseen)}; head: {quoted(spec.labels)}"
        hint = joining_key(unseen, spec.labels)
        raise DataError(f"task '{spec.name}': no row has a label that the head knows; {labels_of_both}{hint}")
    encoded = encode_cached(table.select(rows).texts, encoder)
    return LabelledTexts(encoded, labels, rows, unseen)


def prepare_task(
    spec: TaskSpec,
    source: str,
    train: LabelledTable,
    validation: LabelledTable,
    encoder: TextEncoder,
    *,
    watched: bool = False,
    held_out: bool = False,
) -> TaskData:
    """Training and validation rows of a task, with the fingerprints for its run; `watched` is recorded with them."""
    data: dict[str, Any] = {
        "source": source,
        "train": {"rows": len(train), "sha256": fingerprint([*train.texts, *map(str, train.labels)])},
        "validation": {
            "rows": len(validation),
            "sha256": fingerprint([*validation.texts, *map(str, validation.labels)]),
        },
        **({"watched": True} if watched else {}),
    }
    record = replace(train.record, source=source, kind=spec.kind)
    return TaskData(spec, prepare(spec, train, encoder), prepare(spec, validation, encoder), data, record, held_out)
