"""From labels to a kind of task, a label map, and arrays."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtlkit.config.architecture import Kind, TaskSpec
from mtlkit.data.datasets.marks import Label
from mtlkit.data.datasets.values import canonical, class_name, number_of, shown
from mtlkit.errors import DataError, listed


class KnownLabels:
    """The labels that a head knows, by any spelling: `True` is `true`, and `1.0` is `1`, where one label alone has it."""

    def __init__(self, labels: Sequence[str]) -> None:
        self.exact = {label: number for number, label in enumerate(labels)}
        spellings = Counter(map(canonical, labels))
        self.spelled = {canonical(label): number for label, number in self.exact.items() if spellings[canonical(label)] == 1}

    def __contains__(self, name: str) -> bool:
        return self.number(name) is not None

    def number(self, name: str) -> int | None:
        """The place of a label among the head's; None where it has none."""
        number = self.exact.get(name)
        return self.spelled.get(canonical(name)) if number is None else number


def infer_kind(labels: Sequence[Label]) -> Kind:
    """Lists are multi-label, names are classification. Numbers are a regression where one has a fraction, or where they are
    floats of which most occur once; else they are classes: in text files, 1, 01 and 1.0 are three.
    """
    if any(isinstance(label, tuple) for label in labels):
        return "multi-label"
    floats = [label for label in labels if isinstance(label, float)]
    if any(number % 1 for number in floats):
        return "regression"
    numbers = [number_of(label) for label in labels if not isinstance(label, tuple)]
    if not numbers or any(number is None for number in numbers):
        return "classification"
    if any(number % 1 for number in numbers if number is not None):
        return "regression"
    return "regression" if len(floats) == len(labels) and 2 * len(set(floats)) > len(floats) else "classification"


def kind_for(known: TaskSpec | None, labels: Sequence[Label], kind: Kind | None) -> Kind:
    """The kind of a task's labels: the one asked for, that of its head where the labels are numbers, else as they look."""
    if kind is None and known is not None and known.kind == "regression" and all(_is_number(label) for label in labels):
        return "regression"
    return kind or infer_kind(labels)


def infer_spec(name: str, labels: Sequence[Label], head: str, kind: Kind | None = None, names: Sequence[str] = ()) -> TaskSpec:
    """What a fresh head must predict; `names` are the labels of a multi-label task where these are known apart from the rows.

    Raises DataError when the labels do not allow a head.
    """
    kind = kind or infer_kind(labels)
    if kind == "regression":
        values = _numbers(name, labels)
        return TaskSpec(name, kind, (), head, float(values.mean()), float(values.std()) or 1.0)
    if kind == "multi-label":
        classes = dict.fromkeys([*names, *sorted({part for label in labels for part in parts_of(label)}, key=_natural)])
    else:
        if any(isinstance(label, tuple) for label in labels):
            raise DataError(f"task '{name}': some labels are lists, which classification cannot have; specify ?kind=multi-label")
        classes = dict.fromkeys(sorted({class_name(label) for label in labels if not isinstance(label, tuple)}, key=_natural))
    if not classes or (kind == "classification" and len(classes) < 2):
        rows = f"all {len(labels)} rows have" if len(labels) > 1 else "the only row to train on has"
        found = f"{rows} the label '{listed(classes)}'" if classes else "no row has a label"
        raise DataError(f"task '{name}': {found}; a head needs two classes to tell apart")
    return TaskSpec(name, kind, tuple(classes), head)


def check_varied(spec: TaskSpec, labels: Sequence[Label], column: str) -> None:
    """Raises DataError where every row has the same number, or the same set of labels, so that there is nothing to learn."""
    if spec.kind == "regression":
        differ = float(np.ptp(_numbers(spec.name, labels))) > 0
    else:
        differ = spec.kind == "classification" or len({frozenset(parts_of(label)) for label in labels}) > 1
    if not differ:
        parts = dict.fromkeys(parts_of(labels[0]))
        held = (listed(parts) or "empty") if spec.kind == "multi-label" else f"{float(labels[0]):g}"  # type: ignore[arg-type]
        rows = f"all {len(labels):,} rows" if len(labels) > 1 else "the only row to train on"
        raise DataError(
            f"task '{spec.name}': column '{column}' is {held} in {rows}, so there is nothing to learn; give labels that differ, "
            "or specify ?label=NAME to read another column"
        )


def fits(spec: TaskSpec, labels: Sequence[Label], kind: Kind | None = None) -> bool:
    """Whether a head that exists can be trained on these labels: the same kind, and no label it does not know."""
    return kind_for(spec, labels, kind) == spec.kind and not unseen_labels(spec, labels)


def unseen_labels(spec: TaskSpec, labels: Sequence[Label]) -> Counter[str]:
    """Labels that the head has no output for, with how many rows carry them."""
    if spec.kind == "regression":
        return Counter()
    known = KnownLabels(spec.labels)
    return Counter(part for label in labels for part in parts_of(label) if part not in known)


def encode_labels(spec: TaskSpec, labels: Sequence[Label]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Labels as an array, and the rows it speaks of: rows with a label unseen in training are left out.

    classification (N,) int64; multi-label (N, labels) float32 of 0 and 1; regression (N,) float32. Raises DataError for lists
    where the head predicts one class.
    """
    if spec.kind == "regression":
        return _numbers(spec.name, labels).astype(np.float32), np.arange(len(labels))
    if spec.kind == "classification" and any(isinstance(label, tuple) and len(label) != 1 for label in labels):
        raise DataError(f"task '{spec.name}': some labels are lists, and its head predicts one class; give a label a row")
    known = KnownLabels(spec.labels)
    numbers = [[known.number(part) for part in parts_of(label)] for label in labels]
    kept = np.array([row for row, found in enumerate(numbers) if None not in found], np.int64)
    if spec.kind == "classification":
        return np.array([numbers[row][0] for row in kept], np.int64), kept
    marks = np.zeros((len(kept), len(spec.labels)), np.float32)
    for place, row in enumerate(kept):
        marks[place, numbers[row]] = 1.0
    return marks, kept


def parts_of(label: Label) -> tuple[str, ...]:
    """The classes that a label names."""
    return label if isinstance(label, tuple) else (class_name(label),)


def _numbers(name: str, labels: Sequence[Label]) -> NDArray[np.float64]:
    wrong = next((label for label in labels if not _is_number(label)), None)
    if wrong is not None:
        raise DataError(f"task '{name}': label {shown(wrong)} is not a number, as regression needs")
    values = np.array([float(label) for label in labels])  # type: ignore[arg-type]
    if not np.isfinite(values).all():
        raise DataError(f"task '{name}': row {int(np.flatnonzero(~np.isfinite(values))[0]) + 1} has a label that is not finite")
    return values


def _is_number(label: Label) -> bool:
    try:
        float(label)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return True


def _natural(label: str) -> tuple[int, int, str]:
    """Sorts 2 before 10, and names after numbers."""
    return (0, int(label), label) if re.fullmatch(r"-?\d{1,18}", label) else (1, 0, label)
