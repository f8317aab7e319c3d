"""What may be wrong with texts without labels, before a base or a student of a teacher is trained on them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Literal

import numpy as np

from mtlkit.config.source_record import SourceRecord
from mtlkit.config.training import PretrainOptions
from mtlkit.data.datasets.corpus import read_text_splits, sample_held_out
from mtlkit.data.datasets.labelled import LabelledTable
from mtlkit.data.datasets.labelled_rows import ReadOptions
from mtlkit.data.quality.classes import blank_texts
from mtlkit.data.quality.findings import MOST_TOKENS, CheckedSplit, Finding, SplitSummary, TaskSummary, split_of
from mtlkit.data.quality.leaks import near_texts, overlap, repeated_texts
from mtlkit.data.quality.near_duplicates import TextNumbers
from mtlkit.errors import listed
from mtlkit.recipes.checking.measures import Measure, cut_texts, held_out

TEXT_SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class TextData:
    """Texts to pretrain on, which are read whole, or to distill a teacher on."""

    name: str
    source: str
    kind: Literal["text", "distill"]
    texts: list[CheckedSplit]
    record: SourceRecord

    def check(self, measure: Measure) -> tuple[TaskSummary, list[Finding]]:
        """Its figures, and what may be wrong with it by itself."""
        most = MOST_TOKENS if self.kind == "text" else measure.max_length
        made = [
            SplitSummary(one.name, len(one), False, {}, measure.lengths(measure.whole(one.table.texts), most))
            for one in self.texts
        ]
        splits, absent = held_out(self.source, made)
        task = TaskSummary(
            self.name, self.source, self.kind, splits, tuple(name for name in absent if name != "test"), self.record
        )
        return task, [*text_findings(self.texts, measure.numbers), *cut_texts(task, most)]


def read_text_data(sources: Sequence[str], reading: ReadOptions, numbers: TextNumbers) -> list[TextData]:
    """Texts as `mtlkit pretrain` reads them, from all sources together. Raises DataError."""
    records: dict[str, SourceRecord] = {}
    splits = read_sources(sources, reading, numbers, records)
    return [TextData(source, source, "text", found, records[source]) for source, found in splits.items()]


def read_distilled(sources: Mapping[str, str], reading: ReadOptions, numbers: TextNumbers) -> list[TextData]:
    """Texts as `mtlkit train-sentence --objective distill` reads them, each task by itself. Raises DataError."""
    made = []
    for name, source in sources.items():
        (data,) = read_text_data([source], reading, numbers)
        made.append(replace(data, name=name, kind="distill", texts=[replace(split, task=name) for split in data.texts]))
    return made


def read_sources(
    sources: Sequence[str], reading: ReadOptions, numbers: TextNumbers, records: dict[str, SourceRecord]
) -> dict[str, list[CheckedSplit]]:
    """The splits of each source as `mtlkit pretrain` with all of them has them, blank texts included; where a source has no
    validation split, its part of the twentieth that is held out. Raises DataError."""
    tables: dict[str, dict[str, LabelledTable]] = {}
    for source in dict.fromkeys(sources):
        own: dict[str, SourceRecord] = {}
        tables[source] = read_text_splits(source, reading, own)
        records |= own
    free = {source: found for source, found in tables.items() if "validation" not in found}
    filled = {source: np.flatnonzero([bool(text.strip()) for text in found["train"].texts]) for source, found in free.items()}
    texts = [free[source]["train"].texts[row] for source, rows in filled.items() for row in rows.tolist()]
    marks = iter(sample_held_out(texts, listed(free), PretrainOptions.seed, optional=len(free) < len(tables)))
    for source, rows in filled.items():
        train = free[source]["train"]
        held = np.zeros(len(train), bool)
        held[rows] = list(islice(marks, len(rows)))
        tables[source] |= {"train": train.select(np.flatnonzero(~held))}
        if held.any():
            tables[source]["validation"] = train.select(np.flatnonzero(held))
    return {
        source: [
            split_of(source, name, found[name], numbers, judged=name != "train")
            for name in TEXT_SPLITS
            if name in found and len(found[name])
        ]
        for source, found in tables.items()
    }


def text_findings(splits: Sequence[CheckedSplit], numbers: TextNumbers) -> Iterator[Finding]:
    """Texts of validation and test that train has, exactly or nearly; blank texts, which pretraining skips; repeated ones."""
    train, *others = splits
    texts = numbers.texts()
    for other in others:
        yield from overlap(train, other)
        yield from near_texts(train, other, texts)
    for split in splits:
        yield from (replace(finding, spoils=False) for finding in blank_texts(split))
        yield from repeated_texts(split)
