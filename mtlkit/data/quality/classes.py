"""Finds problems with the texts and labels of single splits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from mtlkit.data.labels.classes import KnownLabels, parts_of
from mtlkit.data.labels.marks import Label
from mtlkit.data.labels.reader import alike
from mtlkit.data.quality.findings import CheckedSplit, Finding, label_name

SKEWED = 10  # ratio of the largest class to the smallest
SORTED = 10  # ratio of the runs of equal labels in random order to those in the file


def count_classes(labels: Sequence[Label]) -> Counter[str]:
    """Rows per class, the largest first; a row with several labels counts for each."""
    counts = Counter(part for label in labels for part in parts_of(label))
    return Counter(dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))))


def blank_texts(split: CheckedSplit) -> Iterator[Finding]:
    rows = np.flatnonzero(split.numbers < 0)
    if len(rows):
        yield split.finding("blank", rows, spoils=True)


def one_class(train: CheckedSplit) -> Iterator[Finding]:
    """All rows have the same class, or none."""
    classes = count_classes(train.table.labels)
    if len(classes) < 2 and all(label == () or not isinstance(label, tuple) for label in train.table.labels):
        yield train.finding("one class", np.arange(len(train)), spoils=True, labels=tuple(classes))


def alike_labels(splits: Sequence[CheckedSplit]) -> Iterator[Finding]:
    """Labels that differ only in case, white space or Unicode form. The finding's `labels` lists the groups one after another,
    each with its most frequent spelling first."""
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
    """Classes with one row, and a largest class many times the size of the smallest."""
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
    """Rows sorted by class, so that the first rows of the file are not a representative sample."""
    seen: dict[str, int] = {}  # numbers instead of names, which may be long
    names = [label_name(label) for label in train.table.labels]
    codes = np.array([seen.setdefault(name, len(seen)) for name in names])
    counts = np.bincount(codes)
    runs = 1 + int(np.count_nonzero(np.diff(codes)))
    expected = 1 + (len(names) - float((counts.astype(float) ** 2).sum()) / len(names))
    if len(counts) > 1 and runs * SORTED <= expected:
        yield Finding("sorted", train.task, train.name, len(train), len(train), figure=runs)


def unseen_classes(train: CheckedSplit, other: CheckedSplit) -> Iterator[Finding]:
    """Rows of a split with a label that does not occur in training."""
    known = KnownLabels(list(count_classes(train.table.labels)))
    unseen = count_classes(other.table.labels)
    labels = tuple(label for label in unseen if label not in known)
    if labels:
        marks = [any(part in labels for part in count_classes([label])) for label in other.table.labels]
        yield other.finding("unseen", np.flatnonzero(marks), spoils=other.judged, labels=labels)
