"""From labels to a kind of task, a label map, and arrays. What a label is, its kind knows: see `mtlkit/tasks/`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Literal, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from mtlkit.config.architecture import Kind, TaskSpec
from mtlkit.config.registries.task_kinds import KINDS
from mtlkit.config.source_record import SourceRecord
from mtlkit.data.datasets.marks import Label, RawLabel


class LabelCodec(Protocol):
    """How the labels of one kind of task are read, checked and encoded.

    classes        how many classes a row has: one, several (or none of them), or none at all, as its label is a number
    checks_labels  whether `check_label` can refuse a label, so that such a row is a bad row
    """

    name: ClassVar[str]
    classes: ClassVar[Literal["one", "several", "none"]]
    checks_labels: ClassVar[bool]

    def recognizes(self, labels: Sequence[Label]) -> bool:
        """Whether labels look like this kind, where nobody says which kind they are."""
        ...

    def claims(self, labels: Sequence[Label]) -> bool:
        """Whether labels belong to this kind where a head of it exists, even if they look like another kind."""
        ...

    def check_label(self, label: RawLabel, value: object) -> None:
        """Raises ValueError for a label that cannot be of this kind; `value` is how the row has it."""
        ...

    def check_inferred(self, labels: Sequence[Label], location: str) -> None:
        """Raises DataError or RowError where labels that look like this kind are hardly meant as such."""
        ...

    def remarks(self, labels: Sequence[Label], record: SourceRecord, location: str) -> Iterator[str]:
        """What users should know of labels that were read as this kind."""
        ...

    def make_spec(self, task: str, labels: Sequence[Label], head: str, names: Sequence[str]) -> TaskSpec:
        """What a fresh head predicts; `names` are classes known apart from the rows. Raises DataError."""
        ...

    def check_spec(self, spec: TaskSpec) -> None:
        """Raises ValueError for a task out of a file that cannot be of this kind."""
        ...

    def check_varied(self, spec: TaskSpec, labels: Sequence[Label], column: str) -> None:
        """Raises DataError where all labels are the same, so that there is nothing to learn."""
        ...

    def unseen(self, spec: TaskSpec, labels: Sequence[Label]) -> Counter[str]:
        """Labels that the head has no output for, with how many rows have them."""
        ...

    def encode(self, spec: TaskSpec, labels: Sequence[Label]) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Labels as an array with a row for each label, and the rows that it is of. Raises DataError."""
        ...

    def comparable(self, task: str, splits: Sequence[Sequence[Label]]) -> tuple[list[NDArray[np.float64]], float]:
        """The labels of each split as numbers, (rows,), and how far apart two labels of one text may be."""
        ...


def codec_of(kind: Kind) -> LabelCodec:
    """How labels of a kind are read and encoded."""
    return cast(LabelCodec, KINDS[kind])


def infer_kind(labels: Sequence[Label]) -> Kind:
    """The first kind, in the order of their ranks, that labels look like; the last one takes any."""
    kinds = sorted(KINDS, key=lambda name: int(KINDS[name].rank))
    return next(name for name in kinds if codec_of(name).recognizes(labels))


def kind_for(known: TaskSpec | None, labels: Sequence[Label], kind: Kind | None) -> Kind:
    """The kind of a task's labels: the one asked for, that of its head where it claims them, else as they look."""
    if kind is None and known is not None and codec_of(known.kind).claims(labels):
        return known.kind
    return kind or infer_kind(labels)


def infer_spec(name: str, labels: Sequence[Label], head: str, kind: Kind | None = None, names: Sequence[str] = ()) -> TaskSpec:
    """What a fresh head must predict; `names` are classes known apart from the rows. Raises DataError when the labels allow no
    head."""
    return codec_of(kind or infer_kind(labels)).make_spec(name, labels, head, names)


def check_varied(spec: TaskSpec, labels: Sequence[Label], column: str) -> None:
    """Raises DataError where every row has the same label, so that there is nothing to learn."""
    codec_of(spec.kind).check_varied(spec, labels, column)


def fits(spec: TaskSpec, labels: Sequence[Label], kind: Kind | None = None) -> bool:
    """Whether a head that exists can be trained on these labels: the same kind, and no label it does not know."""
    return kind_for(spec, labels, kind) == spec.kind and not unseen_labels(spec, labels)


def unseen_labels(spec: TaskSpec, labels: Sequence[Label]) -> Counter[str]:
    """Labels that the head has no output for, with how many rows carry them."""
    return codec_of(spec.kind).unseen(spec, labels)


def encode_labels(spec: TaskSpec, labels: Sequence[Label]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Labels as an array with a row for each label, in the form that the task's loss and metrics take, and the rows it speaks of:
    rows with a label unseen in training are left out. Raises DataError for labels that cannot be of the task's kind."""
    return codec_of(spec.kind).encode(spec, labels)
