"""Labels as class names and numbers, for every kind of task with classes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from mtlkit.data.labels.marks import Label, RawLabel
from mtlkit.data.labels.values import canonical, class_name, number_of, number_or_none, shown
from mtlkit.errors import DataError


class KnownLabels:
    """The labels that a head knows. Other spellings match too, if unambiguous: `True` matches `true`, and `1.0` matches `1`."""

    def __init__(self, labels: Sequence[str]) -> None:
        self.exact = {label: number for number, label in enumerate(labels)}
        spellings = Counter(map(canonical, labels))
        self.spelled = {canonical(label): number for label, number in self.exact.items() if spellings[canonical(label)] == 1}

    def __contains__(self, name: str) -> bool:
        return self.number(name) is not None

    def number(self, name: str) -> int | None:
        """The index of a label among the head's; None if it is unknown."""
        number = self.exact.get(name)
        return self.spelled.get(canonical(name)) if number is None else number


class OrderedLabels(KnownLabels):
    """Labels of an order, from low to high. If all are numbers, others match by their value: `2.50` matches `2.5`."""

    def __init__(self, labels: Sequence[str]) -> None:
        super().__init__(labels)
        values = [number_or_none(label) for label in labels]
        self.numbers = {} if None in values else {value: index for index, value in enumerate(values)}

    def number(self, name: str) -> int | None:
        number = super().number(name)
        return self.numbers.get(number_or_none(name)) if number is None else number

    def check(self, label: RawLabel, value: object) -> None:
        """Raises ValueError for a label that is not in the order; `value` is the label as written."""
        if not isinstance(label, str | float) or class_name(label) not in self:
            raise ValueError(f"{shown(value)}, which is not in order={','.join(self.exact)}")


def parts_of(label: Label) -> tuple[str, ...]:
    """The classes that a label names."""
    return label if isinstance(label, tuple) else (class_name(label),)


def classes_in(labels: Iterable[Label], first: Iterable[str] = ()) -> tuple[str, ...]:
    """All classes that labels name, 2 before 10 and numbers before names; `first` come before them, in their order."""
    return tuple(dict.fromkeys([*first, *sorted({part for label in labels for part in parts_of(label)}, key=_natural)]))


def unknown_classes(known: Sequence[str] | KnownLabels, labels: Sequence[Label]) -> Counter[str]:
    """Unknown classes, with the number of rows that have them."""
    names = known if isinstance(known, KnownLabels) else KnownLabels(known)
    return Counter(part for label in labels for part in parts_of(label) if part not in names)


def class_numbers(known: Sequence[str] | KnownLabels, labels: Sequence[Label]) -> tuple[list[list[int]], NDArray[np.int64]]:
    """The indices of each row's classes among the known ones, and the numbers of these rows. A row with an unknown class is left
    out."""
    names = known if isinstance(known, KnownLabels) else KnownLabels(known)
    numbers = [[names.number(part) for part in parts_of(label)] for label in labels]
    rows = np.array([row for row, row_numbers in enumerate(numbers) if None not in row_numbers], np.int64)
    return [[number for number in numbers[row] if number is not None] for row in rows], rows


def label_codes(splits: Sequence[Sequence[Label]]) -> list[NDArray[np.float64]]:
    """A number for each label of each split, the same one for equal sets of classes."""
    codes: dict[tuple[str, ...], int] = {}
    keys = [[tuple(sorted(parts_of(label))) for label in labels] for labels in splits]
    return [np.array([codes.setdefault(key, len(codes)) for key in part], np.float64) for part in keys]


def numbers_of(task: str, labels: Sequence[Label]) -> NDArray[np.float64]:
    """Labels as numbers, (N,). Raises DataError for a label that is none, or is not finite."""
    wrong = next((label for label in labels if not is_number(label)), None)
    if wrong is not None:
        raise DataError(f"task '{task}': label {shown(wrong)} is not a number, as regression needs")
    values = np.array([float(label) for label in labels])  # type: ignore[arg-type]
    if not np.isfinite(values).all():
        raise DataError(f"task '{task}': row {int(np.flatnonzero(~np.isfinite(values))[0]) + 1} has a label that is not finite")
    return values


def comparable_numbers(task: str, splits: Sequence[Sequence[Label]]) -> tuple[list[NDArray[np.float64]], float]:
    """The numbers of each split in single precision, and their standard deviation in the first one."""
    values = [numbers_of(task, labels).astype(np.float32).astype(np.float64) for labels in splits]
    return values, float(values[0].std())


def is_number(label: Label) -> bool:
    """Whether a label is a number in any spelling that Python reads."""
    try:
        float(label)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return True


def look_numeric(labels: Sequence[Label]) -> bool:
    """Whether labels are numbers to be learned as such: one has a fraction, or they are floats of which most occur once. Other
    numbers are classes: in text files, 1, 01 and 1.0 are three."""
    floats = [label for label in labels if isinstance(label, float)]
    if any(number % 1 for number in floats):
        return True
    numbers: list[float] = []
    for label in labels:
        number = None if isinstance(label, tuple) else number_of(label)
        if number is None:
            return False
        numbers.append(number)
    if any(number % 1 for number in numbers):
        return True
    return bool(labels) and len(floats) == len(labels) and 2 * len(set(floats)) > len(floats)


def _natural(label: str) -> tuple[int, int, str]:
    """Sorts 2 before 10, and names after numbers."""
    return (0, int(label), label) if re.fullmatch(r"-?\d{1,18}", label) else (1, 0, label)
