"""Warnings about the data before a training, from checks that take almost no time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mtlkit.config.architecture import Kind
from mtlkit.data.datasets.labelled_table import LabelledTable
from mtlkit.data.labels.codec import codec_of
from mtlkit.data.quality.classes import alike_labels, blank_texts, one_class
from mtlkit.data.quality.findings import CheckedSplit, Finding, split_of
from mtlkit.data.quality.leaks import overlap, two_labels
from mtlkit.data.quality.near_duplicates import TextNumbers
from mtlkit.data.quality.tagged import one_tag
from mtlkit.report.findings import finding_message


def first_look(train: LabelledTable, validation: LabelledTable, task: str, kind: Kind, *, of_texts: bool = True) -> list[Finding]:
    """Problems in the training and validation rows of a task; `of_texts`: not only in their labels."""
    splits = splits_of(task, {"train": train, "validation": validation}, TextNumbers())
    return list(quick_findings(splits, kind, of_texts=of_texts))


def warning(finding: Finding) -> str:
    """A message about a problem."""
    return f"{finding_message(finding)}; mtlkit check-data says more"


def recorded(finding: Finding) -> dict[str, Any]:
    """What the record of a run says about a problem: no texts, which may be private."""
    return {name: getattr(finding, name) for name in ("problem", "task", "split", "rows", "of", "against")}


def first_columns(tables: Mapping[str, LabelledTable]) -> list[str]:
    """The tasks without those whose texts are those of an earlier one, as both are label columns of one table."""
    first = {id(table if table.pool is None else table.pool): name for name, table in reversed(list(tables.items()))}
    return list(reversed(first.values()))


def splits_of(task: str, tables: Mapping[str, LabelledTable], numbers: TextNumbers) -> list[CheckedSplit]:
    """The splits of a task for checks, train first. Results are reported on the last one."""
    last = list(tables)[-1]
    return [split_of(task, split, table, numbers, judged=split == last) for split, table in tables.items()]


def quick_findings(splits: Sequence[CheckedSplit], kind: Kind, *, of_texts: bool = True) -> Iterator[Finding]:
    """Findings that need only a pass over the rows. The first split must be train. `of_texts`: not only about labels."""
    train, *others = splits
    if codec_of(kind).classes != "none":
        yield from one_tag(train) if codec_of(kind).classes == "words" else one_class(train)
        yield from alike_labels(splits)
    if of_texts:
        for split in splits:
            yield from blank_texts(split)
        for other in others:
            yield from overlap(train, other)
    yield from two_labels(splits, kind)
