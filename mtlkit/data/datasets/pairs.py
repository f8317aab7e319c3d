"""Reads pairs of texts, with or without hard negatives or a score, from a source."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain

import numpy as np

from mtlkit.config.source_record import SourceRecord
from mtlkit.data.batching import Rows
from mtlkit.data.datasets.held_out import SPLIT_SEED, held_out_groups, limited
from mtlkit.data.datasets.labelled_rows import ReadOptions
from mtlkit.data.datasets.pair_rows import PairRows
from mtlkit.data.quality.near_duplicates import PairNumbers, TextNumbers
from mtlkit.data.sources import Source, existing_split, find_split, open_source
from mtlkit.data.sources.grammar.spec import Query, parse_source
from mtlkit.data.sources.rows import good_rows
from mtlkit.errors import DataError
from mtlkit.progress import counted
from mtlkit.seeding import generator

HELD_OUT_SHARE, HELD_OUT_MOST = 0.1, 2000


@dataclass(frozen=True)
class PairTable:
    """First texts, second texts and scores (empty unless requested) by row, how they were read, the place of each row
    (`train.csv:12`) if places were requested, and each column of hard negatives by row."""

    firsts: list[str] = field(default_factory=list)
    seconds: list[str] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    record: SourceRecord = field(default_factory=lambda: SourceRecord(""), compare=False)
    places: list[str] = field(default_factory=list, compare=False)
    negatives: list[list[str]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.firsts)

    def select(self, rows: Rows) -> PairTable:
        scores = [self.scores[row] for row in rows] if self.scores else []
        places = [self.places[row] for row in rows] if self.places else []
        negatives = [[column[row] for row in rows] for column in self.negatives]
        firsts, seconds = ([column[row] for row in rows] for column in (self.firsts, self.seconds))
        return PairTable(firsts, seconds, scores, self.record, places, negatives)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns of first texts, second texts and scores."""
        return (self.record.first or "", self.record.second or "", *self.record.label)

    def all_values(self) -> list[str]:
        """All values as strings, for the fingerprint."""
        return [*self.texts(), *map(str, self.scores)]

    def texts(self) -> list[str]:
        """All first texts, then all second texts, then each column of hard negatives."""
        return [*self.firsts, *self.seconds, *chain.from_iterable(self.negatives)]


def read_pairs(source: Source, query: Query, split: str, reading: ReadOptions, scored: bool) -> PairTable:
    """Reads all pairs of one split. Raises DataError if there are none or a column is missing."""
    pairs = PairRows(source, query, split, reading, scored)
    rows = list(good_rows(counted(pairs.rows(), f"reading {source.name}"), reading.on_bad_row, reading.tally))
    if not rows:
        raise DataError(f"{source.name}: no pairs in split '{split}'; give a file with a header and rows")
    scores = [row["score"] for row in rows] if scored else []
    table = PairTable([row["first"] for row in rows], [row["second"] for row in rows], scores, pairs.record)
    table.negatives.extend([row["negatives"][index] for row in rows] for index in range(len(pairs.record.negatives)))
    if reading.keep_places:
        table.places.extend(row["place"] for row in rows)
    return table.select(limited(len(table), query.limit)) if query.limit is not None else table


def read_train_and_validation_pairs(address: str, reading: ReadOptions, scored: bool) -> tuple[PairTable, PairTable]:
    """The training pairs of a source and up to 2,000 validation pairs; without a validation split, a tenth of the training pairs
    is held out, with equal pairs kept together.

    Raises DataError if either has fewer than two pairs, as a pair is compared with the others.
    """
    path, query = parse_source(address)
    source = open_source(path, query)
    split = existing_split(source, query.split)
    train = read_pairs(source, query, split, reading, scored)
    validation = find_split(source, "validation")
    if validation is not None and validation != split:
        held_out = read_pairs(source, query, validation, reading, scored)
        if min(len(train), len(held_out)) < 2:
            raise DataError(f"{source.name}: a split has only one pair; give at least two pairs in each split")
        order = generator(SPLIT_SEED, "validation").permutation(len(held_out))
        return train, held_out.select(np.sort(order[:HELD_OUT_MOST]))  # every pair is compared with every other
    groups = _equal_pairs(train)
    if (distinct := int(groups.max()) + 1) < 4:
        count = f"{len(train)} pairs" if distinct == len(train) else f"{len(train)} pairs, {distinct} of them different"
        raise DataError(f"{source.name}: {count}; at least four different ones are needed, as two are held out")
    held = held_out_groups(groups, HELD_OUT_SHARE, HELD_OUT_MOST, SPLIT_SEED, "validation", least=2)
    return train.select(np.flatnonzero(~held)), train.select(np.flatnonzero(held))


def _equal_pairs(table: PairTable) -> Rows:
    """Numbers the pairs from 0, (N,): equal for the same two texts up to case and white space, in either order."""
    numbers = TextNumbers()
    return PairNumbers().of(numbers.of(table.firsts), numbers.of(table.seconds))


def read_test_pairs(address: str, reading: ReadOptions, scored: bool) -> PairTable | None:
    """The test pairs of a source; None if it has no test split, or trains on it. Raises DataError."""
    path, query = parse_source(address)
    source = open_source(path, query)
    test = find_split(source, "test")
    return None if test is None or test == find_split(source, query.split) else read_pairs(source, query, test, reading, scored)


def read_scored_pairs(address: str, split: str, reading: ReadOptions) -> tuple[PairTable, str]:
    """The pairs to evaluate on and their name: a split, or a whole file. Raises DataError."""
    path, query = parse_source(address)
    source = open_source(path, query)
    if find_split(source, split) is None and source.single_file:
        return read_pairs(source, query, "train", reading, True), source.single_file
    own_name = existing_split(source, split, "; choose with --split")
    return read_pairs(source, query, own_name, reading, True), split
