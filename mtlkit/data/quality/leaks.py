"""Finds texts or pairs that occur both in training and evaluation, are repeated, or have different labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mtlkit.config.architecture import Kind
from mtlkit.data.batching import Rows
from mtlkit.data.labels.codec import codec_of
from mtlkit.data.quality.findings import EXAMPLES, CheckedSplit, Finding, Problem
from mtlkit.data.quality.near_duplicates import NearPair, near_pairs


def repeated_texts(split: CheckedSplit) -> Iterator[Finding]:
    """Rows whose text occurs in an earlier row of the split."""
    _, first = np.unique(split.numbers, return_index=True)
    rows = np.setdiff1d(np.flatnonzero(split.numbers >= 0), first)
    if len(rows):
        first_of = first_row(split.numbers)
        examples = tuple(split.example(row, split, first_of(split.numbers[row])) for row in rows[:EXAMPLES].tolist())
        yield split.finding("repeated", rows, examples=examples)


def two_labels(splits: Sequence[CheckedSplit], kind: Kind) -> Iterator[Finding]:
    """Texts with different labels within a split, then texts whose label in another split differs from that in training. Labels
    that are numbers differ if they are further apart than the standard deviation in training."""
    values, tolerance = codec_of(kind).comparable(splits[0].task, [split.table.labels for split in splits])
    yield from two_values(splits, values, tolerance)


def two_values(splits: Sequence[CheckedSplit], values: Sequence[NDArray[np.float64]], tolerance: float) -> Iterator[Finding]:
    """`two_labels` for labels as numbers, an array per split; the labels of a text may differ by up to `tolerance`."""
    train = splits[0]
    within = [_contradictions(split.numbers, codes, tolerance) for split, codes in zip(splits, values, strict=True)]
    for split, pairs in zip(splits, within, strict=True):
        if pairs:
            yield _contradiction(split, split, pairs)
    for index, other in enumerate(splits[1:], 1):
        numbers = np.concatenate([train.numbers, other.numbers])
        known = np.concatenate([part.numbers[[row for row, _ in within[at]]] for at, part in ((0, train), (index, other))])
        numbers[np.isin(numbers, known)] = -1
        pairs = _contradictions(numbers, np.concatenate([values[0], values[index]]), tolerance)
        rows = [sorted(pair, reverse=True) for pair in pairs]
        if rows:
            yield _contradiction(other, train, [(second - len(train), first) for second, first in rows])


def _contradictions(numbers: Rows, values: NDArray[np.float64], tolerance: float) -> list[tuple[int, int]]:
    """For each text whose values differ by more than the tolerance, the rows of the least and greatest, in row order."""
    order = np.lexsort((values, numbers))
    order = order[numbers[order] >= 0]
    if not len(order):
        return []
    first = np.flatnonzero(np.diff(numbers[order], prepend=-1))
    last = np.append(first[1:], len(order)) - 1
    apart = values[order[last]] - values[order[first]] > tolerance
    least, greatest = order[first[apart]], order[last[apart]]
    pairs = zip(np.minimum(least, greatest).tolist(), np.maximum(least, greatest).tolist(), strict=True)
    return sorted(pairs)


def _contradiction(split: CheckedSplit, other: CheckedSplit, pairs: Sequence[tuple[int, int]]) -> Finding:
    examples = tuple(split.example(row, other, other_row) for row, other_row in pairs[:EXAMPLES])
    rows = np.array([row for row, _ in pairs])
    return split.finding("two labels", rows, spoils=True, against=other.name, examples=examples)


def overlap(train: CheckedSplit, other: CheckedSplit) -> Iterator[Finding]:
    """Rows of a split whose text is also in the training data of its task."""
    rows = np.flatnonzero(np.isin(other.numbers, train.numbers) & (other.numbers >= 0))
    if len(rows):
        yield _shared(train, other, rows, "overlap")


def shared_texts(train: CheckedSplit, other: CheckedSplit, own: CheckedSplit) -> Iterator[Finding]:
    """Rows of a split whose text is in the training data of another task, but not of its own."""
    rows = np.flatnonzero(np.isin(other.numbers, train.numbers) & ~np.isin(other.numbers, own.numbers) & (other.numbers >= 0))
    if len(rows):
        yield _shared(train, other, rows, "shared")


def _shared(train: CheckedSplit, other: CheckedSplit, rows: Rows, problem: Problem) -> Finding:
    first_of = first_row(train.numbers)
    examples = tuple(other.example(row, train, first_of(other.numbers[row])) for row in rows[:EXAMPLES].tolist())
    another = train.task if problem == "shared" else ""
    spoils = other.judged and (problem == "overlap" or other.name == "test")
    return other.finding(problem, rows, spoils=spoils, against=train.name, another=another, examples=examples)


def near_texts(train: CheckedSplit, other: CheckedSplit, texts: Sequence[str]) -> Iterator[Finding]:
    """Rows of a split whose text is a near duplicate of a training text but not equal to one; `texts` are indexed by number."""
    yield from near_finding(train, other, near_partners(train, other, texts))


def near_partners(train: CheckedSplit, other: CheckedSplit, texts: Sequence[str]) -> dict[int, NearPair]:
    """Each text of a split, by number, that is not in train but has a near duplicate there, with one such pair."""
    known = np.unique(train.numbers[train.numbers >= 0])
    among = np.setdiff1d(other.numbers[other.numbers >= 0], known)
    return {pair.text: pair for pair in near_pairs(texts, among, known)}


def near_finding(train: CheckedSplit, other: CheckedSplit, near: Mapping[int, NearPair]) -> Iterator[Finding]:
    """The finding for rows of a split whose text is in `near`."""
    rows = np.flatnonzero(np.isin(other.numbers, list(near)))
    if not len(rows):
        return
    first_of = first_row(train.numbers)
    shown = [(row, near[int(other.numbers[row])]) for row in rows[:EXAMPLES].tolist()]
    examples = tuple(other.example(row, train, first_of(pair.other), pair.resemblance) for row, pair in shown)
    yield other.finding("near", rows, spoils=other.judged, against=train.name, examples=examples)


def first_row(numbers: Rows) -> Callable[[int], int]:
    """A function that returns the first row with a number."""
    present, first = np.unique(numbers, return_index=True)
    return lambda number: int(first[np.searchsorted(present, number)])
