"""Which rows are held out for validation, where a source has no split for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from mtlkit.config.architecture import Kind
from mtlkit.data.batching import Rows
from mtlkit.data.datasets.class_labels import parts_of
from mtlkit.data.datasets.labels import codec_of, infer_kind
from mtlkit.data.datasets.marks import Label
from mtlkit.data.quality.near_duplicates import TextNumbers
from mtlkit.errors import DataError
from mtlkit.seeding import generator

ONE_IN = 10  # rows
SPLIT_SEED = 0  # the same rows are held out whatever the seed of the training, so that runs can be compared


def hold_out(
    labels: Sequence[Label], place: str, kind: Kind | None = None, texts: Sequence[str] | None = None
) -> NDArray[np.bool_]:
    """Marks a tenth of the rows, at random, spread over the classes as the rows are; every class keeps a row to train on.

    Rows with the same `texts`, but for case and white space, stay on one side, where something can be held out like that.
    Raises DataError, naming the `place` of the rows, when there are fewer than two, or none can be spared.
    """
    if len(labels) < 2:
        raise DataError(f"{place}: {len(labels)} row is too few: a task needs two at least, one of them held out")
    classes = codec_of(kind or infer_kind(labels)).classes
    parts = [() if classes == "none" else parts_of(label) for label in labels]
    one_class = classes == "one"
    alone = np.arange(len(labels))
    held = _hold_out_groups(parts, one_class, alone if texts is None else TextNumbers().of(texts))
    if not held.any() and texts is not None:
        held = _hold_out_groups(parts, one_class, alone)
    if not held.any():
        raise DataError(f"{place}: every class has a single row, and none can be held out to validate; give two rows of one")
    return held


def _hold_out_groups(parts: Sequence[tuple[str, ...]], one_class: bool, groups: Rows) -> NDArray[np.bool_]:
    """Marks about a tenth of the rows, in whole groups; none where every group is all that there is of a class. `parts` are the
    classes of each row, by which rows are stratified where each has one."""
    strata: dict[str, list[int]] = {}
    for row, classes in enumerate(parts):
        strata.setdefault(classes[0] if one_class and classes else "", []).append(row)
    random = generator(SPLIT_SEED, "validation")
    shuffled = [random.permutation(np.array(rows)).tolist() for rows in strata.values()]
    wanted = _tenth_of([len(rows) for rows in shuffled], spare=1 if one_class else 0)
    members: dict[int, list[int]] = {}
    numbers: list[int] = groups.tolist()
    for row, number in enumerate(numbers):
        members.setdefault(number, []).append(row)
    choice = _Choice(parts)
    for rows, count in zip(shuffled, wanted, strict=True):
        choice.room += count  # what no group of one class fits into is left to the next
        for row in rows:
            if not choice.room:
                break
            choice.hold(members[numbers[row]])
    for row in chain.from_iterable(shuffled) if not choice.held.any() else ():
        choice.room = len(parts)  # the first group that can be spared, however large
        choice.hold(members[numbers[row]])
        if choice.held.any():
            break
    return choice.held


class _Choice:
    """Rows that are held out so far, and how many more may be."""

    def __init__(self, parts: Sequence[tuple[str, ...]]) -> None:
        self.parts = parts
        self.left = Counter(part for classes in self.parts for part in classes)
        self.held = np.zeros(len(parts), bool)
        self.room, self.spare = 0, len(parts) - 1

    def hold(self, rows: Sequence[int]) -> None:
        """Holds out a whole group where it fits, and where something of every class, and any row, is left without it."""
        if len(rows) > min(self.room, self.spare) or self.held[rows[0]]:
            return
        taken = Counter(part for row in rows for part in self.parts[row])
        if all(self.left[part] > count for part, count in taken.items()):
            self.held[rows] = True
            self.left.subtract(taken)
            self.room -= len(rows)
            self.spare -= len(rows)


def _tenth_of(sizes: Sequence[int], spare: int) -> list[int]:
    """A tenth of all rows, at least one, as counts by class: largest remainders first, `spare` rows of each class left."""
    counts = [min(size // ONE_IN, size - spare) for size in sizes]
    missing = max(1, round(sum(sizes) / ONE_IN)) - sum(counts)
    for place in sorted(range(len(sizes)), key=lambda place: (-(sizes[place] % ONE_IN), -sizes[place])):
        if missing > 0 and counts[place] < sizes[place] - spare:
            counts[place] += 1
            missing -= 1
    return counts
