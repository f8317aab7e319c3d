"""Infers the kind of a task from its labels, and encodes labels as arrays. Each kind defines what a label is: see
`mtlkit/tasks/`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Literal, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from mtlkit.config.architecture import Kind, TaskSpec
from mtlkit.config.registries.task_kinds import KINDS
from mtlkit.config.source_record import SourceRecord
from mtlkit.data.labels.marks import Label, RawLabel

RowClasses = Literal["one", "several", "words", "none"]


class LabelCodec(Protocol):
    """How the labels of one kind of task are read, checked and encoded.

    classes        how many classes a row has: one, several (or none of them), one for each of its words, or none at all, as its
                   label is a number
    checks_labels  whether `check_label` can refuse a label, so that such a row is a bad row
    ordered        whether classes have an order, which a source may name by `order=`
    """

    name: ClassVar[str]
    classes: ClassVar[RowClasses]
    checks_labels: ClassVar[bool]
    ordered: ClassVar[bool]

    def recognizes(self, labels: Sequence[Label]) -> bool:
        """Whether labels look like this kind, if the kind is not specified."""
        ...

    def claims(self, labels: Sequence[Label]) -> bool:
        """Whether labels fit an existing head of this kind, even if they look like another kind."""
        ...

    def check_label(self, label: RawLabel, value: object) -> None:
        """Raises ValueError for a label that cannot be of this kind; `value` is the label as written in the row."""
        ...

    def check_inferred(self, labels: Sequence[Label], location: str) -> None:
        """Raises DataError or RowError if labels look like this kind but are probably meant as another."""
        ...

    def remarks(self, labels: Sequence[Label], record: SourceRecord, location: str) -> Iterator[str]:
        """Remarks for users on labels that were read as this kind."""
        ...

    def make_spec(self, task: str, labels: Sequence[Label], head: str, names: Sequence[str]) -> TaskSpec:
        """The specification of a new head; `names` are classes known independently of the rows. Raises DataError."""
        ...

    def check_spec(self, spec: TaskSpec) -> None:
        """Raises ValueError for a task, read from a file, that cannot be of this kind."""
        ...

    def check_varied(self, spec: TaskSpec, labels: Sequence[Label], column: str) -> None:
        """Raises DataError if all labels are the same, so that there is nothing to learn."""
        ...

    def unseen(self, spec: TaskSpec, labels: Sequence[Label]) -> Counter[str]:
        """Labels that the head has no output for, with the number of rows that have them."""
        ...

    def extended(self, spec: TaskSpec, labels: Sequence[str], order: Sequence[str]) -> TaskSpec:
        """The same task with more classes. `order` is the order of all classes if the source names it. Raises DataError if the
        new ones have no place among the others."""
        ...

    def encode(self, spec: TaskSpec, labels: Sequence[Label]) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Labels as an array with one row per label, and the numbers of the rows that have them. Raises DataError."""
        ...

    def comparable(self, task: str, splits: Sequence[Sequence[Label]]) -> tuple[list[NDArray[np.float64]], float]:
        """The labels of each split as numbers, (rows,), and the largest difference at which two labels agree."""
        ...


def codec_of(kind: Kind) -> LabelCodec:
    """How labels of a kind are read and encoded."""
    return cast(LabelCodec, KINDS[kind])


def infer_kind(labels: Sequence[Label]) -> Kind:
    """The first kind, in the order of their ranks, that labels look like; the last one takes any."""
    kinds = sorted(KINDS, key=lambda name: int(KINDS[name].rank))
    return next(name for name in kinds if codec_of(name).recognizes(labels))


def kind_for(known: TaskSpec | None, labels: Sequence[Label], kind: Kind | None) -> Kind:
    """The kind of a task's labels: the requested one, else that of its head if it accepts them, else the inferred one."""
    if kind is None and known is not None and codec_of(known.kind).claims(labels):
        return known.kind
    return kind or infer_kind(labels)


def infer_spec(name: str, labels: Sequence[Label], head: str, kind: Kind | None = None, names: Sequence[str] = ()) -> TaskSpec:
    """The specification of a new head; `names` are classes known independently of the rows. Raises DataError if no head can be
    trained on the labels."""
    return codec_of(kind or infer_kind(labels)).make_spec(name, labels, head, names)


def check_varied(spec: TaskSpec, labels: Sequence[Label], column: str) -> None:
    """Raises DataError if every row has the same label, so that there is nothing to learn."""
    codec_of(spec.kind).check_varied(spec, labels, column)


def fits(spec: TaskSpec, labels: Sequence[Label], kind: Kind | None = None) -> bool:
    """Whether a head that exists can be trained on these labels: the same kind, and no label it does not know."""
    return kind_for(spec, labels, kind) == spec.kind and not unseen_labels(spec, labels)


def unseen_labels(spec: TaskSpec, labels: Sequence[Label]) -> Counter[str]:
    """Labels that the head has no output for, with the number of rows that have them."""
    return codec_of(spec.kind).unseen(spec, labels)


def encode_labels(spec: TaskSpec, labels: Sequence[Label]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Labels as an array with one row per label, and the numbers of the rows that have them. Raises DataError."""
    return codec_of(spec.kind).encode(spec, labels)
