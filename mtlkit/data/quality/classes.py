"""What may be wrong with the texts and labels of a split by themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from mtlkit.data.datasets.class_labels import KnownLabels, parts_of
from mtlkit.data.datasets.label_reader import alike
from mtlkit.data.datasets.marks import Label
from mtlkit.data.quality.findings import CheckedSplit, Finding, label_name

SKEWED = 10  # times the rows of the smallest class
SORTED = 10  # times fewer runs of one label than the same rows make in random order


def count_classes(labels: Sequence[Label]) -> Counter[str]:
    """How many rows have each class, the largest first; a row of several labels counts for each."""
    counts = Counter(part for label in labels for part in parts_of(label))
    return Counter(dict(sorted(counts.items(), key=lambda one: (-one[1], one[0]))))


def blank_texts(split: CheckedSplit) -> Iterator[Finding]:
    rows = np.flatnonzero(split.numbers < 0)
    if len(rows):
        yield split.finding("blank", rows, spoils=True)


def one_class(train: CheckedSplit) -> Iterator[Finding]:
    """All rows of one class, or of none; for labels that are classes."""
    classes = count_classes(train.table.labels)
    if len(classes) < 2 and all(label == () or not isinstance(label, tuple) for label in train.table.labels):
        yield train.finding("one class", np.arange(len(train)), spoils=True, labels=tuple(classes))


def alike_labels(splits: Sequence[CheckedSplit]) -> Iterator[Finding]:
    """Labels of any split that differ only in case, blanks or Unicode form; `labels` has the groups one after another, the most
    frequent spelling of each first."""
    counts: Counter[str] = Counter()
    for split in splits:
        counts.update(count_classes(split.table.labels))
    groups = alike(sorted(counts, key=lambda name: (-counts[name], name)))
    if groups:
        train = splits[0]
        others = {name for group in groups for name in group[1:]}
        rows = [row for row, label in enumerate(train.table.labels) if not others.isdisjoint(parts_of(label))]
        labels = tuple(name for group in groups for name in group)
        yield train.finding("alike", np.array(rows, np.int64), spoils=True, labels=labels)


def uneven_classes(train: CheckedSplit) -> Iterator[Finding]:
    """Classes of one row, and one that has many times the rows of another."""
    classes = count_classes(train.table.labels)
    single = tuple(label for label, rows in classes.items() if rows == 1)
    if single:
        yield Finding("rare", train.task, train.name, len(single), len(train), labels=single)
    if not classes:  # lists of labels may all be empty
        return
    largest, smallest = next(iter(classes)), next(reversed(classes))
    times = classes[largest] / classes[smallest]
    if times >= SKEWED:
        labels = (largest, smallest)
        yield Finding("skew", train.task, train.name, classes[largest], len(train), labels=labels, figure=times)


def sorted_labels(train: CheckedSplit) -> Iterator[Finding]:
    """Rows that stand class after class, so that the first rows of the file are no sample of it."""
    seen: dict[str, int] = {}  # numbers stand for names, of which one may be a page long
    names = [label_name(label) for label in train.table.labels]
    codes = np.array([seen.setdefault(name, len(seen)) for name in names])
    counts = np.bincount(codes)
    runs = 1 + int(np.count_nonzero(np.diff(codes)))
    expected = 1 + (len(names) - float((counts.astype(float) ** 2).sum()) / len(names))
    if len(counts) > 1 and runs * SORTED <= expected:
        yield Finding("sorted", train.task, train.name, len(train), len(train), figure=runs)


def unseen_classes(train: CheckedSplit, other: CheckedSplit) -> Iterator[Finding]:
    """Rows of a split with a label that no training row has."""
    known = KnownLabels(list(count_classes(train.table.labels)))
    unseen = count_classes(other.table.labels)
    labels = tuple(label for label in unseen if label not in known)
    if labels:
        marks = [any(part in labels for part in count_classes([label])) for label in other.table.labels]
        yield other.finding("unseen", np.flatnonzero(marks), spoils=other.judged, labels=labels)
