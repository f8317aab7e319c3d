"""Texts, or pairs of texts, that are where they should not be: in training and in what is judged, or with two labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mtlkit.config.architecture import Kind
from mtlkit.data.batching import Rows
from mtlkit.data.datasets.labels import codec_of
from mtlkit.data.quality.findings import EXAMPLES, CheckedSplit, Finding, Problem
from mtlkit.data.quality.near_duplicates import NearPair, near_pairs


def repeated_texts(split: CheckedSplit) -> Iterator[Finding]:
    """Rows whose text an earlier row of the split has."""
    _, first = np.unique(split.numbers, return_index=True)
    rows = np.setdiff1d(np.flatnonzero(split.numbers >= 0), first)
    if len(rows):
        before = first_row(split.numbers)
        examples = tuple(split.example(row, split, before(split.numbers[row])) for row in rows[:EXAMPLES].tolist())
        yield split.finding("repeated", rows, examples=examples)


def two_labels(splits: Sequence[CheckedSplit], kind: Kind) -> Iterator[Finding]:
    """Texts with different labels within a split, then texts whose label in another split is not that of training; where labels
    are numbers, those further apart than a standard deviation in training."""
    values, tolerance = codec_of(kind).comparable(splits[0].task, [split.table.labels for split in splits])
    yield from two_values(splits, values, tolerance)


def two_values(splits: Sequence[CheckedSplit], values: Sequence[NDArray[np.float64]], tolerance: float) -> Iterator[Finding]:
    """The same of labels as numbers, an array for each split; `tolerance` is how far apart those of one text may be."""
    train = splits[0]
    within = [_contradictions(split.numbers, codes, tolerance) for split, codes in zip(splits, values, strict=True)]
    for split, pairs in zip(splits, within, strict=True):
        if pairs:
            yield _contradiction(split, split, pairs)
    for place, other in enumerate(splits[1:], 1):
        numbers = np.concatenate([train.numbers, other.numbers])
        known = np.concatenate([part.numbers[[row for row, _ in within[at]]] for at, part in ((0, train), (place, other))])
        numbers[np.isin(numbers, known)] = -1
        pairs = _contradictions(numbers, np.concatenate([values[0], values[place]]), tolerance)
        rows = [sorted(pair, reverse=True) for pair in pairs]
        if rows:
            yield _contradiction(other, train, [(second - len(train), first) for second, first in rows])


def _contradictions(numbers: Rows, values: NDArray[np.float64], tolerance: float) -> list[tuple[int, int]]:
    """For each text whose values lie further apart, the rows of the least and the greatest, in their order."""
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
    examples = tuple(split.example(row, other, there) for row, there in pairs[:EXAMPLES])
    rows = np.array([row for row, _ in pairs])
    return split.finding("two labels", rows, spoils=True, against=other.name, examples=examples)


def overlap(train: CheckedSplit, other: CheckedSplit) -> Iterator[Finding]:
    """Rows of a split whose text is also in the training rows of its task."""
    rows = np.flatnonzero(np.isin(other.numbers, train.numbers) & (other.numbers >= 0))
    if len(rows):
        yield _shared(train, other, rows, "overlap")


def shared_texts(train: CheckedSplit, other: CheckedSplit, own: CheckedSplit) -> Iterator[Finding]:
    """Rows of a split whose text another task is trained on; without those that its own task is trained on."""
    rows = np.flatnonzero(np.isin(other.numbers, train.numbers) & ~np.isin(other.numbers, own.numbers) & (other.numbers >= 0))
    if len(rows):
        yield _shared(train, other, rows, "shared")


def _shared(train: CheckedSplit, other: CheckedSplit, rows: Rows, problem: Problem) -> Finding:
    there = first_row(train.numbers)
    examples = tuple(other.example(row, train, there(other.numbers[row])) for row in rows[:EXAMPLES].tolist())
    another = train.task if problem == "shared" else ""
    spoils = other.judged and (problem == "overlap" or other.name == "test")
    return other.finding(problem, rows, spoils=spoils, against=train.name, another=another, examples=examples)


def near_texts(train: CheckedSplit, other: CheckedSplit, texts: Sequence[str]) -> Iterator[Finding]:
    """Rows of a split whose text is near to one of train, and not the same as any; `texts` are those of all numbers."""
    yield from near_finding(train, other, near_partners(train, other, texts))


def near_partners(train: CheckedSplit, other: CheckedSplit, texts: Sequence[str]) -> dict[int, NearPair]:
    """By its number, each text of a split that is not in train but near to a text of it, with one that it is near to."""
    known = np.unique(train.numbers[train.numbers >= 0])
    among = np.setdiff1d(other.numbers[other.numbers >= 0], known)
    return {pair.text: pair for pair in near_pairs(texts, among, known)}


def near_finding(train: CheckedSplit, other: CheckedSplit, near: Mapping[int, NearPair]) -> Iterator[Finding]:
    """Rows of a split whose text is one of these."""
    rows = np.flatnonzero(np.isin(other.numbers, list(near)))
    if not len(rows):
        return
    there = first_row(train.numbers)
    found = [(row, near[int(other.numbers[row])]) for row in rows[:EXAMPLES].tolist()]
    examples = tuple(other.example(row, train, there(pair.other), pair.resemblance) for row, pair in found)
    yield other.finding("near", rows, spoils=other.judged, against=train.name, examples=examples)


def first_row(numbers: Rows) -> Callable[[int], int]:
    """The first row of a number."""
    present, first = np.unique(numbers, return_index=True)
    return lambda number: int(first[np.searchsorted(present, number)])
