"""From labels to a kind of task, a label map, and arrays."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtlkit.config.architecture import Kind, TaskSpec
from mtlkit.data.tables import Label
from mtlkit.errors import DataError

DECIMAL = re.compile(r"-?\d+\.\d+")


def infer_kind(labels: Sequence[Label]) -> Kind:
    """A string is classification, a list multi-label, a float regression.

    In text files every label is a string; decimals with a fraction (3.75) are taken for numbers there, but 1, 01 and 1.0
    are three classes.
    """
    if any(isinstance(label, tuple) for label in labels):
        return "multi-label"
    if any(isinstance(label, float) for label in labels):
        return "regression"
    decimals = all(DECIMAL.fullmatch(str(label)) for label in labels)
    return "regression" if decimals and any(float(str(label)) % 1 for label in labels) else "classification"


def infer_spec(name: str, labels: Sequence[Label], head: str, kind: Kind | None = None) -> TaskSpec:
    """What a fresh head must predict. Raises DataError when the labels do not allow one."""
    kind = kind or infer_kind(labels)
    if kind == "regression":
        values = _numbers(name, labels)
        return TaskSpec(name, kind, (), head, float(values.mean()), float(values.std()) or 1.0)
    if kind == "multi-label":
        classes = {part for label in labels for part in _several(label)}
    else:
        if any(isinstance(label, tuple) for label in labels):
            raise DataError(f"task '{name}': some labels are lists, which classification cannot have; say ?kind=multi-label")
        classes = {str(label) for label in labels}
    if not classes or (kind == "classification" and len(classes) < 2):
        rows = f"all {len(labels)} rows have" if len(labels) > 1 else "the only row to train on has"
        found = f"{rows} the label '{next(iter(classes))}'" if classes else "no row has a label"
        raise DataError(f"task '{name}': {found}; a head needs two classes to tell apart")
    return TaskSpec(name, kind, tuple(sorted(classes, key=_natural)), head)


def fits(spec: TaskSpec, labels: Sequence[Label], kind: Kind | None = None) -> bool:
    """Whether a head that exists can be trained on these labels: the same kind, and no label it does not know."""
    if (kind or infer_kind(labels)) != spec.kind:
        return False
    return not unseen_labels(spec, labels)


def unseen_labels(spec: TaskSpec, labels: Sequence[Label]) -> Counter[str]:
    """Labels that the head has no output for, with how many rows carry them."""
    if spec.kind == "regression":
        return Counter()
    known = set(spec.labels)
    return Counter(part for label in labels for part in _several(label) if part not in known)


def encode_labels(spec: TaskSpec, labels: Sequence[Label]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Labels as an array, and the rows it speaks of: rows with a label unseen in training are left out.

    classification (N,) int64; multi-label (N, labels) float32 of 0 and 1; regression (N,) float32.
    """
    if spec.kind == "regression":
        return _numbers(spec.name, labels).astype(np.float32), np.arange(len(labels))
    index = {label: number for number, label in enumerate(spec.labels)}
    kept = np.array([row for row, label in enumerate(labels) if all(part in index for part in _several(label))], np.int64)
    if spec.kind == "classification":
        return np.array([index[str(labels[row])] for row in kept], np.int64), kept
    marks = np.zeros((len(kept), len(index)), np.float32)
    for place, row in enumerate(kept):
        marks[place, [index[part] for part in _several(labels[row])]] = 1.0
    return marks, kept


def _several(label: Label) -> tuple[str, ...]:
    return label if isinstance(label, tuple) else (str(label),)


def _numbers(name: str, labels: Sequence[Label]) -> NDArray[np.float64]:
    try:
        values = np.array([float(label) for label in labels])  # type: ignore[arg-type]
    except (TypeError, ValueError):
        wrong = next(label for label in labels if isinstance(label, tuple) or not _is_number(label))
        raise DataError(f"task '{name}': label {wrong!r} is not a number, as regression needs") from None
    if not np.isfinite(values).all():
        raise DataError(f"task '{name}': row {int(np.flatnonzero(~np.isfinite(values))[0]) + 1} has a label that is not finite")
    return values


def _is_number(label: str | float) -> bool:
    try:
        float(label)
    except ValueError:
        return False
    return True


def _natural(label: str) -> tuple[int, int, str]:
    """Sorts 2 before 10, and names after numbers."""
    return (0, int(label), label) if re.fullmatch(r"-?\d{1,18}", label) else (1, 0, label)
