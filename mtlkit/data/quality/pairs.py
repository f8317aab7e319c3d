"""What may be wrong with pairs of texts: in training and in what is judged, twice, with two scores, or nothing to learn from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mtlkit.data.batching import Rows
from mtlkit.data.datasets.class_labels import comparable_numbers
from mtlkit.data.datasets.labelled import LabelledTable
from mtlkit.data.datasets.marks import Label
from mtlkit.data.datasets.pair_data import PairTexts, pairs_fault, scored_pairs_fault
from mtlkit.data.datasets.pairs import PairTable
from mtlkit.data.quality.findings import EXAMPLES, CheckedSplit, Finding, ScoreSummary
from mtlkit.data.quality.leaks import first_row, near_finding, near_partners, overlap, repeated_texts, two_values
from mtlkit.data.quality.near_duplicates import PairNumbers, TextNumbers

MUCH_SHARED = 0.1  # of the other pairs, which are no negatives then
MUCH_OUTSIDE = 0.1  # of the range of scores in train


@dataclass(frozen=True)
class CheckedPairSplit:
    """A split of N pairs, seen as N pairs and as 2N texts, all first ones and then all second ones."""

    pairs: CheckedSplit
    texts: CheckedSplit
    columns: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.pairs.name

    @property
    def scores(self) -> list[float]:
        """The score of each pair; empty where pairs have none."""
        return [label for label in self.pairs.table.labels if isinstance(label, float)]

    def __len__(self) -> int:
        return len(self.pairs)


def pair_split(
    task: str, name: str, table: PairTable, numbers: tuple[TextNumbers, PairNumbers], *, judged: bool = False
) -> CheckedPairSplit:
    """A table with the numbers of its texts and pairs. A text of a pair may well be in training; results are of pairs."""
    texts = [*table.firsts, *table.seconds]
    of_texts = numbers[0].of(texts)
    of_pairs = numbers[1].of(*of_texts.reshape(2, -1))
    labels: list[Label] = [*table.scores] or [""] * len(table)
    pairs = CheckedSplit(
        task, name, LabelledTable(table.firsts, labels, table.places, table.record), of_pairs, judged, table.seconds
    )
    both = CheckedSplit(task, name, LabelledTable(texts, [""] * len(texts), table.places * 2, table.record), of_texts)
    return CheckedPairSplit(pairs, both, table.columns)


def score_range(scores: Sequence[float]) -> ScoreSummary | None:
    """None where there are no scores."""
    if not scores:
        return None
    return ScoreSummary(min(scores), float(np.median(scores)), max(scores), len(set(scores)))


def pair_findings(splits: Sequence[CheckedPairSplit], numbers: tuple[TextNumbers, PairNumbers]) -> Iterator[Finding]:
    """Pairs that are repeated, in training and in what is judged, or have two scores; texts of pairs that are in training."""
    train, *others = splits
    for split in splits:
        yield from repeated_texts(split.pairs)
    for other in others:
        yield from overlap(train.pairs, other.pairs)
        yield from near_pairs_and_texts(train, other, numbers)
    if train.scores:
        pairs = [split.pairs for split in splits]
        yield from two_values(pairs, *comparable_numbers(train.pairs.task, [one.table.labels for one in pairs]))
        for other in others:
            yield from scores_outside(train, other)


def near_pairs_and_texts(
    train: CheckedPairSplit, other: CheckedPairSplit, numbers: tuple[TextNumbers, PairNumbers]
) -> Iterator[Finding]:
    """Pairs both of whose texts are the same as, or near to, those of a pair of train; then the texts of all other pairs that
    are in train, too, or near to one of it, which is usual where a text has several partners."""
    near = near_partners(train.texts, other.texts, numbers[0].texts())
    replaced = np.array([near[number].other if number in near else number for number in other.texts.numbers.tolist()])
    instead = numbers[1].of(*replaced.reshape(2, -1))
    leaked = np.isin(other.pairs.numbers, train.pairs.numbers)
    rows = np.flatnonzero(np.isin(instead, train.pairs.numbers) & ~leaked)
    if len(rows):
        there = first_row(train.pairs.numbers)
        sides = other.texts.numbers.reshape(2, -1)
        examples = tuple(
            other.pairs.example(
                row,
                train.pairs,
                there(instead[row]),
                min(near[number].resemblance if number in near else 1.0 for number in sides[:, row].tolist()),
            )
            for row in rows[:EXAMPLES].tolist()
        )
        yield other.pairs.finding("near", rows, spoils=other.pairs.judged, against=train.name, examples=examples)
    leaked[rows] = True
    rest = replace(other.texts, numbers=np.where(np.tile(leaked, 2), -1, other.texts.numbers))
    yield from overlap(train.texts, rest)
    yield from near_finding(train.texts, rest, near)


def scores_outside(train: CheckedPairSplit, other: CheckedPairSplit) -> Iterator[Finding]:
    """Scores that lie well outside the range of those of train, as if they were on another scale."""
    scores = np.array(other.scores)
    lowest, highest = min(train.scores), max(train.scores)
    if lowest == highest:
        return
    room = MUCH_OUTSIDE * (highest - lowest)
    rows = np.flatnonzero((scores < lowest - room) | (scores > highest + room))
    if len(rows):
        yield other.pairs.finding("outside", rows, against=train.name, labels=(f"{lowest:g}", f"{highest:g}"))


def read_findings(split: CheckedPairSplit, read: PairTexts) -> Iterator[Finding]:
    """What is wrong with the pairs of a split as the model reads them: nothing to learn or to measure, no texts that differ,
    few negatives."""
    scored = len(read.scores) > 0
    if fault := (scored_pairs_fault if scored else pairs_fault)(read, split.columns):
        count = len(split)
        yield Finding("unusable", split.pairs.task, split.name, count, count, spoils=True, reason=fault.reason, noun="pair")
        return
    same = np.flatnonzero(read.pairs[0] == read.pairs[1])
    if len(same):
        yield split.pairs.finding("same sides", same)
    if not scored and split.name == "train":
        rows = np.flatnonzero(shared_with(read) > MUCH_SHARED * (len(read) - 1))
        if len(rows):
            yield split.pairs.finding("few negatives", rows, figure=MUCH_SHARED)


def shared_with(read: PairTexts) -> Rows:
    """(N,): with how many other pairs each one has a text in common."""
    first, second = np.sort(read.pairs, axis=0)
    alike = first == second
    counts = np.bincount(first, minlength=len(read.texts)) + np.bincount(second[~alike], minlength=len(read.texts))
    _, inverse, equal = np.unique(first * len(read.texts) + second, return_inverse=True, return_counts=True)
    both = np.where(alike, counts[first], equal[inverse])
    shared: Rows = counts[first] + counts[second] - both - 1
    return shared
