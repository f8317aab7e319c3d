"""Checks unlabelled texts for pretraining or distillation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Literal

import numpy as np

from mtlkit.config.commands.pretrain import PretrainOptions
from mtlkit.config.source_record import SourceRecord
from mtlkit.data.datasets.corpus import read_text_splits, sample_held_out
from mtlkit.data.datasets.labelled_rows import ReadOptions
from mtlkit.data.datasets.labelled_table import LabelledTable
from mtlkit.data.quality.classes import blank_texts
from mtlkit.data.quality.findings import MOST_TOKENS, CheckedSplit, Finding, SplitSummary, TaskSummary, split_of
from mtlkit.data.quality.leaks import near_texts, overlap, repeated_texts
from mtlkit.data.quality.near_duplicates import TextNumbers
from mtlkit.errors import listed
from mtlkit.recipes.checking.measures import Measure, cut_texts, held_out

TEXT_SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class TextData:
    """Texts for pretraining, which are not truncated, or for distillation."""

    name: str
    source: str
    kind: Literal["text", "distill"]
    texts: list[CheckedSplit]
    record: SourceRecord

    def check(self, measure: Measure) -> tuple[TaskSummary, list[Finding]]:
        """Its summary, and findings about this data alone."""
        most = MOST_TOKENS if self.kind == "text" else measure.max_length
        summaries = [
            SplitSummary(split.name, len(split), False, {}, measure.lengths(measure.whole(split.table.texts), most))
            for split in self.texts
        ]
        splits, absent = held_out(self.source, summaries)
        task = TaskSummary(
            self.name, self.source, self.kind, splits, tuple(name for name in absent if name != "test"), self.record
        )
        return task, [*text_findings(self.texts, measure.numbers), *cut_texts(task, most)]


def read_text_data(sources: Sequence[str], reading: ReadOptions, numbers: TextNumbers) -> list[TextData]:
    """Texts as `mtlkit pretrain` reads them, from all sources together. Raises DataError."""
    records: dict[str, SourceRecord] = {}
    splits = read_sources(sources, reading, numbers, records)
    return [TextData(source, source, "text", source_splits, records[source]) for source, source_splits in splits.items()]


def read_distilled(sources: Mapping[str, str], reading: ReadOptions, numbers: TextNumbers) -> list[TextData]:
    """Texts as `mtlkit train-sentence --objective distill` reads them, each task by itself. Raises DataError."""
    tasks = []
    for name, source in sources.items():
        (data,) = read_text_data([source], reading, numbers)
        tasks.append(replace(data, name=name, kind="distill", texts=[replace(split, task=name) for split in data.texts]))
    return tasks


def read_sources(
    sources: Sequence[str], reading: ReadOptions, numbers: TextNumbers, records: dict[str, SourceRecord]
) -> dict[str, list[CheckedSplit]]:
    """The splits of each source as `mtlkit pretrain --dedup none` on all of them reads them, including blank texts. A source
    without a validation split gets its share of the held-out twentieth. Raises DataError."""
    tables: dict[str, dict[str, LabelledTable]] = {}
    for source in dict.fromkeys(sources):
        own: dict[str, SourceRecord] = {}
        tables[source] = read_text_splits(source, reading, own)
        records |= own
    unsplit = {source: table for source, table in tables.items() if "validation" not in table}
    nonblank = {
        source: np.flatnonzero([bool(text.strip()) for text in table["train"].texts]) for source, table in unsplit.items()
    }
    texts = [unsplit[source]["train"].texts[row] for source, rows in nonblank.items() for row in rows.tolist()]
    marks = iter(sample_held_out(texts, listed(unsplit), PretrainOptions.seed, optional=len(unsplit) < len(tables)))
    for source, rows in nonblank.items():
        train = unsplit[source]["train"]
        held = np.zeros(len(train), bool)
        held[rows] = list(islice(marks, len(rows)))
        tables[source] |= {"train": train.select(np.flatnonzero(~held))}
        if held.any():
            tables[source]["validation"] = train.select(np.flatnonzero(held))
    return {
        source: [
            split_of(source, name, table[name], numbers, judged=name != "train")
            for name in TEXT_SPLITS
            if name in table and len(table[name])
        ]
        for source, table in tables.items()
    }


def text_findings(splits: Sequence[CheckedSplit], numbers: TextNumbers) -> Iterator[Finding]:
    """Findings on validation and test texts that are also in train (exactly or nearly), blank and repeated texts."""
    train, *others = splits
    texts = numbers.texts()
    for other in others:
        yield from overlap(train, other)
        yield from near_texts(train, other, texts)
    for split in splits:
        yield from (replace(finding, spoils=False) for finding in blank_texts(split))
        yield from repeated_texts(split)
