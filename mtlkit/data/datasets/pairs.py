"""Reads pairs of texts, with or without a score, from a source."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from mtlkit.config.source_record import SourceRecord
from mtlkit.data.batching import Rows
from mtlkit.data.datasets.held_out import SPLIT_SEED, held_out_groups
from mtlkit.data.datasets.labelled import limited
from mtlkit.data.datasets.labelled_rows import ReadOptions
from mtlkit.data.datasets.values import label_value, shown
from mtlkit.data.quality.near_duplicates import PairNumbers, TextNumbers
from mtlkit.data.sources import Source, existing_split, find_split, open_source
from mtlkit.data.sources.columns import join_text, with_columns
from mtlkit.data.sources.pair_columns import pair_columns, score_column
from mtlkit.data.sources.rows import BadRow, Row, good_rows, place_of
from mtlkit.data.sources.spec import Query, parse_source
from mtlkit.errors import DataError
from mtlkit.progress import counted
from mtlkit.seeding import generator

HELD_OUT_SHARE, HELD_OUT_MOST = 0.1, 2000


@dataclass(frozen=True)
class PairTable:
    """First texts, second texts and scores (empty unless requested) by row, how they were read, and the place of each row
    (`train.csv:12`) if places were requested."""

    firsts: list[str] = field(default_factory=list)
    seconds: list[str] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    record: SourceRecord = field(default_factory=lambda: SourceRecord(""), compare=False)
    places: list[str] = field(default_factory=list, compare=False)

    def __len__(self) -> int:
        return len(self.firsts)

    def select(self, rows: Rows) -> PairTable:
        scores = [self.scores[row] for row in rows] if self.scores else []
        places = [self.places[row] for row in rows] if self.places else []
        return PairTable([self.firsts[row] for row in rows], [self.seconds[row] for row in rows], scores, self.record, places)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns of first texts, second texts and scores."""
        return (self.record.first or "", self.record.second or "", *self.record.label)

    def all_values(self) -> list[str]:
        """All values as strings, for the fingerprint."""
        return [*self.firsts, *self.seconds, *map(str, self.scores)]


def read_pairs(source: Source, query: Query, split: str, reading: ReadOptions, scored: bool) -> PairTable:
    """Reads all pairs of one split. Raises DataError if there are none or a column is missing."""
    pairs = PairRows(source, query, split, reading, scored)
    rows = list(good_rows(counted(pairs.rows(), f"reading {source.name}"), reading.on_bad_row, reading.tally))
    if not rows:
        raise DataError(f"{source.name}: no pairs in split '{split}'; give a file with a header and rows")
    scores = [row["score"] for row in rows] if scored else []
    table = PairTable([row["first"] for row in rows], [row["second"] for row in rows], scores, pairs.record)
    if reading.keep_places:
        table.places.extend(row["place"] for row in rows)
    return table.select(limited(len(table), query.limit)) if query.limit is not None else table


class PairRows:
    """Reads the rows of a split as pairs; `record` describes how, once the first row has been read."""

    def __init__(self, source: Source, query: Query, split: str, reading: ReadOptions, scored: bool) -> None:
        self.source, self.query, self.split, self.reading, self.scored = source, query, split, reading, scored
        self.record = SourceRecord(source.name)

    def rows(self) -> Iterator[Row | BadRow]:
        """Yields {"first", "second", "score", "place"} per row."""
        name = self.source.name
        columns, rows = with_columns(self.source.rows(self.split, self.query.encoding or self.reading.encoding))
        first, second, score = self._choose(columns) if columns else ("", "", "")
        for number, row in enumerate(rows, 1):
            if isinstance(row, BadRow):
                yield row
                continue
            if not first:
                first, second, score = self._choose(list(row))
            texts = [_text(row, column, name, number) for column in (first, second)]
            if isinstance(bad := next((text for text in texts if isinstance(text, BadRow)), None), BadRow):
                yield bad
            elif (value := _number(row.get(score)) if self.scored else 0.0) is None:
                location = place_of(row, name, number)
                yield BadRow(f"{location}: column '{score}' is not a finite number: {shown(row.get(score))}")
            else:
                location = place_of(row, name, number) if self.reading.keep_places else ""
                yield {"first": texts[0], "second": texts[1], "score": value, "place": location}

    def _choose(self, columns: list[str]) -> tuple[str, str, str]:
        query, name = self.query, self.source.name
        first, second = pair_columns(columns, query.first, query.second, name)
        score = score_column(columns, query.label, name) if self.scored else ""
        used = (first, second, *([score] if score else []))
        self.record = replace(
            self.source.record(query.encoding or self.reading.encoding),
            first=first,
            second=second,
            label=(score,) if score else (),
            unused=tuple(column for column in columns if column not in used),
        )
        return first, second, score


def _text(row: Row, column: str, name: str, number: int) -> str | BadRow:
    """One text of a pair; a BadRow if it is blank, as blank texts would count as equal."""
    text = join_text(row, [column], name, number)
    blank = isinstance(text, str) and not text.strip()
    return BadRow(f"{place_of(row, name, number)}: no text in column '{column}'") if blank else text


def _number(value: object) -> float | None:
    try:
        number = float(label_value(value))  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return number if np.isfinite(number) else None


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
