"""What of the data is worth a warning before a training: as much as costs next to nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from mtlkit.config.architecture import Kind
from mtlkit.data.datasets.labelled import Table
from mtlkit.data.quality.classes import alike_labels, blank_texts, one_class
from mtlkit.data.quality.findings import Finding, Split, split_of
from mtlkit.data.quality.leaks import overlap, two_labels
from mtlkit.data.quality.near_duplicates import TextNumbers
from mtlkit.report.check_data import in_words


def first_look(train: Table, validation: Table, task: str, kind: Kind) -> list[str]:
    """A sentence on each thing that is wrong with the rows that a task is trained and validated on."""
    splits = splits_of(task, {"train": train, "validation": validation}, TextNumbers())
    return [f"{in_words(finding)}; mtlkit check-data says more" for finding in quick_findings(splits, kind)]


def splits_of(task: str, tables: Mapping[str, Table], numbers: TextNumbers) -> list[Split]:
    """Splits by their names; the last one is what results are of."""
    last = list(tables)[-1]
    return [split_of(task, split, table, numbers, judged=split == last) for split, table in tables.items()]


def quick_findings(splits: Sequence[Split], kind: Kind) -> Iterator[Finding]:
    """What can be found by a pass over the rows; the first of the splits is train."""
    train, *others = splits
    if kind != "regression":
        yield from one_class(train)
        yield from alike_labels(splits)
    for split in splits:
        yield from blank_texts(split)
    for other in others:
        yield from overlap(train, other)
    yield from two_labels(splits, kind)
