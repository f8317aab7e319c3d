"""Holds out rows with labels in several columns for validation, all columns at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from mtlkit.config.architecture import Kind
from mtlkit.config.held_out import HOLDOUT
from mtlkit.data.batching import Rows
from mtlkit.data.datasets.held_out import SPLIT_SEED, check_share
from mtlkit.data.labels.classes import parts_of
from mtlkit.data.labels.codec import codec_of
from mtlkit.data.labels.marks import Label
from mtlkit.data.quality.near_duplicates import TextNumbers
from mtlkit.errors import DataError
from mtlkit.seeding import generator

Part = tuple[str, str]  # a column and one of its classes, or "" for any label


def hold_out_columns(
    labels: Mapping[str, Sequence[Label | None]],
    kinds: Mapping[str, Kind],
    texts: Sequence[str],
    place: str,
    share: float = HOLDOUT,
) -> NDArray[np.bool_]:
    """Marks about a `share` of the rows (0: none), and of each class of each column, by iterative stratification (Sechidis et al.
    2011): rare classes first. Every class keeps a row for training, and every column has a row on both sides.

    Rows whose `texts` are equal up to case and white space stay together if possible. Raises DataError that names `place`.
    """
    if not share:
        return np.zeros(len(texts), bool)
    for name, values in labels.items():
        if sum(label is not None for label in values) < 2:
            raise DataError(f"{place}: column '{name}' has 1 label; a task needs at least two, as one is held out for validation")
    exact = Fraction(str(share))  # 0.1 is a tenth
    check_share(exact, len(texts), place)
    parts = _parts_of_rows(labels, kinds, len(texts))
    selections = (_stratified(parts, groups, exact) for groups in (TextNumbers().of(texts), np.arange(len(texts))))
    empty: list[str] = []
    for selection in selections:
        empty = [name for name in labels if not selection.add_any(name)]
        if not empty:
            return selection.held
    raise DataError(
        f"{place}: column '{empty[0]}': every class has only one row, so none can be held out for validation; add rows to a class"
    )


def _parts_of_rows(labels: Mapping[str, Sequence[Label | None]], kinds: Mapping[str, Kind], rows: int) -> list[list[Part]]:
    parts: list[list[Part]] = [[] for _ in range(rows)]
    for name, values in labels.items():
        with_classes = codec_of(kinds[name]).classes != "none"
        for row, label in enumerate(values):
            if label is not None:
                parts[row] += [(name, ""), *((name, f"={part}") for part in (parts_of(label) if with_classes else ()))]
    return parts


class _ColumnSelection:
    """The groups of rows that are held out. `sizes` counts the rows of each part in each group."""

    def __init__(self, parts: Sequence[Iterable[Part]], groups: Rows) -> None:
        self.groups = groups
        self.sizes: dict[int, Counter[Part]] = {}
        for number, own in zip(groups.tolist(), parts, strict=True):
            self.sizes.setdefault(number, Counter()).update(own)
        self.total = Counter(part for own in parts for part in own)
        self.order = generator(SPLIT_SEED, "validation", "columns").permutation(list(self.sizes)).tolist()
        self.held_parts: Counter[Part] = Counter()
        self.chosen: set[int] = set()

    @property
    def held(self) -> NDArray[np.bool_]:
        marks: NDArray[np.bool_] = np.isin(self.groups, np.array(sorted(self.chosen), np.int64))
        return marks

    def having(self, part: Part) -> Iterator[int]:
        """The groups with a part, in random order."""
        return (number for number in self.order if part in self.sizes[number])

    def hold(self, number: int) -> bool:
        """Holds out a group, if a row of each of its classes remains for training."""
        sizes = self.sizes[number]
        if any(self.total[part] - self.held_parts[part] <= count for part, count in sizes.items()):
            return False
        self.chosen.add(number)
        self.held_parts.update(sizes)
        return True

    def add_any(self, column: str) -> bool:
        """Whether a row of this column is held out, after trying to hold out one."""
        return self.held_parts[column, ""] > 0 or any(self.hold(number) for number in self.having((column, "")))


def _stratified(parts: Sequence[Iterable[Part]], groups: Rows, share: Fraction) -> _ColumnSelection:
    selection = _ColumnSelection(parts, groups)
    members: dict[Part, list[int]] = {}
    for number in selection.order:
        for part in selection.sizes[number]:
            members.setdefault(part, []).append(number)
    assigned: set[int] = set()
    for part in sorted(selection.total, key=lambda part: (selection.total[part], part)):
        wanted = round(share * selection.total[part])
        for number in members[part]:
            if number not in assigned and selection.held_parts[part] + selection.sizes[number][part] <= wanted:
                selection.hold(number)
            assigned.add(number)
    return selection
