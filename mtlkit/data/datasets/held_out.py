"""Holds out rows or texts for validation if a source has no split for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from mtlkit.config.architecture import Kind
from mtlkit.config.held_out import HOLDOUT
from mtlkit.data.batching import Rows
from mtlkit.data.labels.classes import parts_of
from mtlkit.data.labels.codec import codec_of, infer_kind
from mtlkit.data.labels.marks import Label
from mtlkit.data.quality.near_duplicates import TextNumbers, near_pairs
from mtlkit.errors import DataError
from mtlkit.seeding import generator

SPLIT_SEED = 0  # independent of the training seed, so that runs with different seeds can be compared
LETTERS_COMPARED = 20_000_000  # characters of all texts: about ten seconds; larger corpora are only checked for equal texts


def hold_out(
    labels: Sequence[Label],
    place: str,
    kind: Kind | None = None,
    texts: Sequence[str] | None = None,
    share: float = HOLDOUT,
) -> NDArray[np.bool_]:
    """Marks a random `share` of the rows (0: none), stratified by class; every class keeps at least one row for training, and
    every tag of words if possible.

    Rows whose `texts` are equal up to case and white space stay together if possible. Raises DataError, naming `place`, if there
    are fewer than two rows, or the share leaves none on one of the sides.
    """
    if not share:
        return np.zeros(len(labels), bool)
    if len(labels) < 2:
        count = "1 row" if len(labels) == 1 else f"{len(labels)} rows"
        raise DataError(f"{place}: {count}; a task needs at least two, as one is held out for validation")
    exact = Fraction(str(share))  # 0.1 is a tenth
    check_share(exact, len(labels), place)
    classes = codec_of(kind or infer_kind(labels)).classes
    parts = [() if classes == "none" else parts_of(label) for label in labels]
    one_class = classes == "one"
    ungrouped = np.arange(len(labels))
    grouped = ungrouped if texts is None else TextNumbers().of(texts)
    held = _hold_out_groups(parts, one_class, grouped, exact)
    if not held.any() and classes == "words":  # few texts, each with a tag that no other has
        parts = [()] * len(labels)
        held = _hold_out_groups(parts, one_class, grouped, exact)
    if not held.any() and texts is not None:
        held = _hold_out_groups(parts, one_class, ungrouped, exact)
    if not held.any():
        raise DataError(f"{place}: every class has only one row, so none can be held out for validation; add rows to a class")
    return held


def check_share(share: Fraction, rows: int, place: str) -> None:
    """Raises DataError if the share of `--holdout` leaves no row on one of the sides. The default holds out at least one."""
    held = round(share * rows)
    if held >= rows:
        raise DataError(f"{place}: --holdout {float(share):g} leaves none of {rows:,} rows to train on; give a smaller share")
    if not held and share < Fraction(str(HOLDOUT)):
        raise DataError(
            f"{place}: --holdout {float(share):g} of {rows:,} rows is none; give {1 / rows:.2g} or more, or 0 to train without "
            "validation"
        )


def _hold_out_groups(parts: Sequence[tuple[str, ...]], one_class: bool, groups: Rows, share: Fraction) -> NDArray[np.bool_]:
    """Marks about this share of the rows in whole groups; none if every group is all of a class. `parts` are the classes of each
    row; rows are stratified by class if each row has one class."""
    strata: dict[str, list[int]] = {}
    for row, classes in enumerate(parts):
        strata.setdefault(classes[0] if one_class and classes else "", []).append(row)
    random = generator(SPLIT_SEED, "validation")
    shuffled = [random.permutation(np.array(rows)).tolist() for rows in strata.values()]
    counts = _share_of([len(rows) for rows in shuffled], share, spare=1 if one_class else 0)
    members: dict[int, list[int]] = {}
    numbers: list[int] = groups.tolist()
    for row, number in enumerate(numbers):
        members.setdefault(number, []).append(row)
    selection = _Selection(parts)
    for rows, count in zip(shuffled, counts, strict=True):
        selection.room += count  # if no group of a class fits, its share goes to the next class
        for row in rows:
            if not selection.room:
                break
            selection.hold(members[numbers[row]])
    for row in chain.from_iterable(shuffled) if not selection.held.any() else ():
        selection.room = len(parts)  # take the first group that may be held out, however large
        selection.hold(members[numbers[row]])
        if selection.held.any():
            break
    return selection.held


class _Selection:
    """The rows held out so far, and how many more may be."""

    def __init__(self, parts: Sequence[tuple[str, ...]]) -> None:
        self.parts = parts
        self.remaining = Counter(part for classes in self.parts for part in classes)
        self.held = np.zeros(len(parts), bool)
        self.room, self.spare = 0, len(parts) - 1

    def hold(self, rows: Sequence[int]) -> None:
        """Holds out a group of rows if it fits, and if rows of each of its classes remain for training."""
        if len(rows) > min(self.room, self.spare) or self.held[rows[0]]:
            return
        removed = Counter(part for row in rows for part in self.parts[row])
        if all(self.remaining[part] > count for part, count in removed.items()):
            self.held[rows] = True
            self.remaining.subtract(removed)
            self.room -= len(rows)
            self.spare -= len(rows)


def _share_of(sizes: Sequence[int], share: Fraction, spare: int) -> list[int]:
    """A share of all rows, at least one, as counts by class: largest remainders first, `spare` rows of each class remain."""
    counts = [min(int(size * share), size - spare) for size in sizes]
    missing = max(1, round(sum(sizes) * share)) - sum(counts)
    for index in sorted(range(len(sizes)), key=lambda index: (-(sizes[index] * share % 1), -sizes[index])):
        if missing > 0 and counts[index] < sizes[index] - spare:
            counts[index] += 1
            missing -= 1
    return counts


def limited(rows: int, limit: int) -> Rows:
    """The indices of the rows that a limit keeps, ascending. They do not depend on the seed of a training."""
    return np.sort(generator(SPLIT_SEED, "limit").permutation(rows)[:limit])


def held_out_groups(groups: Rows, share: float, most: int, seed: int, *name: str, least: int = 1) -> NDArray[np.bool_]:
    """Marks about `share` of the rows, at most `most`, in whole groups, so that equal rows stay together.

    `groups`, (N,), numbers the group of each row from 0. At least `least` groups are held out and as many remain; nothing is
    marked if there are too few groups for that.
    """
    sizes = np.bincount(groups)
    count = min(most, max(least, round(len(groups) * share)))
    order = generator(seed, *name).permutation(len(sizes))
    total = np.cumsum(sizes[order])
    fitting = int(np.searchsorted(total, count, side="right"))  # number of groups that fit into the share
    chosen = order[: max(0, min(max(least, fitting), len(sizes) - least))]
    held: NDArray[np.bool_] = np.isin(groups, chosen)
    return held


def separate_texts(
    texts: Sequence[str], share: float, most: int, seed: int, *name: str, compared: bool = False
) -> NDArray[np.bool_]:
    """Marks the held-out ones of N texts, (N,).

    Texts that are equal up to case and white space stay together; near duplicates of training texts are moved to training,
    unless no text would remain held out. `compared`: the texts have been compared, and have no near duplicates.
    """
    numbers = TextNumbers()
    groups = numbers.of(texts)
    held = held_out_groups(groups, share, most, seed, *name)
    if compared or sum(map(len, texts)) > LETTERS_COMPARED:
        return held
    distinct = numbers.texts()
    held_texts = np.unique(groups[held])
    moved = np.unique(groups[~held])
    while len(moved) and len(held_texts):
        near = np.array([pair.text for pair in near_pairs(distinct, held_texts, moved)], np.int64)
        held_texts, moved = np.setdiff1d(held_texts, near), near  # texts that became training texts may have near duplicates too
    return np.isin(groups, held_texts) if len(held_texts) else held
