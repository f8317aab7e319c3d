"""What of the data is worth a warning before a training: as much as costs next to nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from mtlkit.config.architecture import Kind
from mtlkit.data.datasets.labelled import LabelledTable
from mtlkit.data.datasets.labels import codec_of
from mtlkit.data.quality.classes import alike_labels, blank_texts, one_class
from mtlkit.data.quality.findings import CheckedSplit, Finding, split_of
from mtlkit.data.quality.leaks import overlap, two_labels
from mtlkit.data.quality.near_duplicates import TextNumbers
from mtlkit.report.check_data import finding_message


def first_look(train: LabelledTable, validation: LabelledTable, task: str, kind: Kind) -> list[str]:
    """A sentence on each thing that is wrong with the rows that a task is trained and validated on."""
    splits = splits_of(task, {"train": train, "validation": validation}, TextNumbers())
    return [f"{finding_message(finding)}; mtlkit check-data says more" for finding in quick_findings(splits, kind)]


def splits_of(task: str, tables: Mapping[str, LabelledTable], numbers: TextNumbers) -> list[CheckedSplit]:
    """Splits by their names; the last one is what results are of."""
    last = list(tables)[-1]
    return [split_of(task, split, table, numbers, judged=split == last) for split, table in tables.items()]


def quick_findings(splits: Sequence[CheckedSplit], kind: Kind) -> Iterator[Finding]:
    """What can be found by a pass over the rows; the first of the splits is train."""
    train, *others = splits
    if codec_of(kind).classes != "none":
        yield from one_class(train)
        yield from alike_labels(splits)
    for split in splits:
        yield from blank_texts(split)
    for other in others:
        yield from overlap(train, other)
    yield from two_labels(splits, kind)
