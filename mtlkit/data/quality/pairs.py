"""Finds problems with pairs of texts: leaks, repeated pairs, contradicting scores, and pairs that nothing can be learned from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mtlkit.data.batching import Rows
from mtlkit.data.datasets.labelled_table import LabelledTable
from mtlkit.data.datasets.pair_data import PairTexts, pairs_fault, scored_pairs_fault
from mtlkit.data.datasets.pairs import PairTable
from mtlkit.data.labels.classes import comparable_numbers
from mtlkit.data.labels.marks import Label
from mtlkit.data.quality.findings import EXAMPLES, CheckedSplit, Finding, ScoreSummary
from mtlkit.data.quality.leaks import first_row, near_finding, near_partners, overlap, repeated_texts, two_values
from mtlkit.data.quality.near_duplicates import PairNumbers, TextNumbers

MUCH_SHARED = 0.1  # share of other pairs with a common text, which cannot be negatives
MUCH_OUTSIDE = 0.1  # tolerance, as a share of the range of training scores


@dataclass(frozen=True)
class CheckedPairSplit:
    """A split of N pairs, as N pairs and as 2N texts: all first texts, then all second texts."""

    pairs: CheckedSplit
    texts: CheckedSplit
    columns: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.pairs.name

    @property
    def scores(self) -> list[float]:
        """The score of each pair; empty if pairs have none."""
        return [label for label in self.pairs.table.labels if isinstance(label, float)]

    def __len__(self) -> int:
        return len(self.pairs)


def pair_split(
    task: str, name: str, table: PairTable, numbers: tuple[TextNumbers, PairNumbers], *, judged: bool = False
) -> CheckedPairSplit:
    """A split with its texts and pairs numbered. Only pairs are judged: single texts may also occur in training."""
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
    """Summary of scores; None if there are none."""
    if not scores:
        return None
    return ScoreSummary(min(scores), float(np.median(scores)), max(scores), len(set(scores)))


def pair_findings(splits: Sequence[CheckedPairSplit], numbers: tuple[TextNumbers, PairNumbers]) -> Iterator[Finding]:
    """Repeated pairs, pairs and texts that are also in training, and pairs with contradicting or outlying scores."""
    train, *others = splits
    for split in splits:
        yield from repeated_texts(split.pairs)
    for other in others:
        yield from overlap(train.pairs, other.pairs)
        yield from near_pairs_and_texts(train, other, numbers)
    if train.scores:
        pairs = [split.pairs for split in splits]
        yield from two_values(pairs, *comparable_numbers(train.pairs.task, [split.table.labels for split in pairs]))
        for other in others:
            yield from scores_outside(train, other)


def near_pairs_and_texts(
    train: CheckedPairSplit, other: CheckedPairSplit, numbers: tuple[TextNumbers, PairNumbers]
) -> Iterator[Finding]:
    """Pairs whose two texts are equal to, or near duplicates of, those of a training pair; then texts of the other pairs that are
    in training or near it, which is normal if a text has several partners."""
    near = near_partners(train.texts, other.texts, numbers[0].texts())
    replaced = np.array([near[number].other if number in near else number for number in other.texts.numbers.tolist()])
    replaced_pairs = numbers[1].of(*replaced.reshape(2, -1))
    leaked = np.isin(other.pairs.numbers, train.pairs.numbers)
    rows = np.flatnonzero(np.isin(replaced_pairs, train.pairs.numbers) & ~leaked)
    if len(rows):
        first_of = first_row(train.pairs.numbers)
        sides = other.texts.numbers.reshape(2, -1)
        examples = tuple(
            other.pairs.example(
                row,
                train.pairs,
                first_of(replaced_pairs[row]),
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
    """Scores well outside the range of the training scores, as if on another scale."""
    scores = np.array(other.scores)
    lowest, highest = min(train.scores), max(train.scores)
    if lowest == highest:
        return
    tolerance = MUCH_OUTSIDE * (highest - lowest)
    rows = np.flatnonzero((scores < lowest - tolerance) | (scores > highest + tolerance))
    if len(rows):
        yield other.pairs.finding("outside", rows, against=train.name, labels=(f"{lowest:g}", f"{highest:g}"))


def read_findings(split: CheckedPairSplit, read: PairTexts) -> Iterator[Finding]:
    """Problems of the tokenized pairs of a split: nothing to learn or measure, pairs of equal texts, few negatives."""
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
    """(N,): the number of other pairs with a common text."""
    first, second = np.sort(read.pairs, axis=0)
    same_texts = first == second
    counts = np.bincount(first, minlength=len(read.texts)) + np.bincount(second[~same_texts], minlength=len(read.texts))
    _, inverse, equal = np.unique(first * len(read.texts) + second, return_inverse=True, return_counts=True)
    both = np.where(same_texts, counts[first], equal[inverse])
    shared: Rows = counts[first] + counts[second] - both - 1
    return shared
