"""Checks text pairs for training a sentence encoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from mtlkit.data.datasets.labelled_rows import ReadOptions
from mtlkit.data.datasets.pair_data import encoded_pairs
from mtlkit.data.datasets.pairs import read_test_pairs, read_train_and_validation_pairs
from mtlkit.data.quality.findings import CheckedSplit, Finding, SplitSummary, TaskSummary
from mtlkit.data.quality.near_duplicates import PairNumbers, TextNumbers
from mtlkit.data.quality.pairs import CheckedPairSplit, pair_findings, pair_split, read_findings, score_range
from mtlkit.data.sources.pair_columns import check_negatives
from mtlkit.recipes.checking.measures import Measure, cut_texts, held_out


@dataclass(frozen=True)
class PairData:
    """Text pairs, and the objective that they are for."""

    name: str
    source: str
    kind: Literal["pairs", "triplets", "similarity"]
    splits: list[CheckedPairSplit]
    numbers: PairNumbers

    @property
    def texts(self) -> Sequence[CheckedSplit]:
        """The texts of each split."""
        return [split.texts for split in self.splits]

    def check(self, measure: Measure) -> tuple[TaskSummary, list[Finding]]:
        """Its summary, and findings about this data alone."""
        summaries: list[SplitSummary] = []
        findings: list[Finding] = []
        for split in self.splits:
            texts = split.texts.table.texts
            whole = measure.whole(texts)
            lengths = measure.lengths(whole)
            summaries.append(SplitSummary(split.name, len(split), False, {}, lengths, score_range(split.scores)))
            read = measure.cut(texts) if lengths.cut else whole
            findings += read_findings(split, encoded_pairs(read, split.scores))
        splits, absent = held_out(self.source, summaries)
        record = self.splits[0].pairs.table.record
        task = TaskSummary(self.name, self.source, self.kind, splits, absent, record)
        return task, [
            *findings,
            *pair_findings(self.splits, (measure.numbers, self.numbers)),
            *cut_texts(task, measure.max_length),
        ]


def read_pair_tasks(sources: Mapping[str, str], reading: ReadOptions, numbers: TextNumbers) -> list[PairData]:
    """Pairs as `mtlkit train-sentence --objective pairs` reads them, and test pairs. Raises DataError."""
    return [_read(name, source, reading, numbers, scored=False) for name, source in sources.items()]


def read_triplet_tasks(sources: Mapping[str, str], reading: ReadOptions, numbers: TextNumbers) -> list[PairData]:
    """Pairs as `mtlkit train-sentence --objective triplets` reads them; each row needs a negative. Raises DataError."""
    tasks = read_pair_tasks(sources, reading, numbers)
    for task in tasks:
        for split in task.splits:
            check_negatives(split.pairs.table.record)
    return [replace(task, kind="triplets") for task in tasks]


def read_scored_tasks(sources: Mapping[str, str], reading: ReadOptions, numbers: TextNumbers) -> list[PairData]:
    """Scored pairs as `mtlkit train-sentence --objective similarity` reads them, and test pairs. Raises DataError."""
    return [_read(name, source, reading, numbers, scored=True) for name, source in sources.items()]


def _read(name: str, source: str, reading: ReadOptions, numbers: TextNumbers, *, scored: bool) -> PairData:
    train, validation = read_train_and_validation_pairs(source, reading, scored)
    test = read_test_pairs(source, reading, scored)
    tables = {"train": train, "validation": validation, **({"test": test} if test else {})}
    last, pairs = list(tables)[-1], PairNumbers()
    splits = [pair_split(name, split, table, (numbers, pairs), judged=split == last) for split, table in tables.items()]
    return PairData(name, source, "similarity" if scored else "pairs", splits, pairs)
