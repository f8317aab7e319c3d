"""Pairs of texts, with or without a score, as they come out of a source."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from mtlkit.data.batching import Rows, generator
from mtlkit.data.columns import label_value, pair_columns, score_column
from mtlkit.data.grammar import Query, parse_source
from mtlkit.data.readers import BadRow, Row, good_rows, place_of
from mtlkit.data.sources import FileSource, Source, existing_split, find_split, open_source
from mtlkit.data.tables import SPLIT_SEED, Reading, limited
from mtlkit.errors import DataError

HELD_OUT_SHARE, HELD_OUT_MOST = 0.1, 2000


@dataclass(frozen=True)
class PairTable:
    """First texts, second texts and, where they are asked for, scores, row by row."""

    firsts: list[str] = field(default_factory=list)
    seconds: list[str] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.firsts)

    def select(self, rows: Rows) -> PairTable:
        scores = [self.scores[row] for row in rows] if self.scores else []
        return PairTable([self.firsts[row] for row in rows], [self.seconds[row] for row in rows], scores)

    def all_values(self) -> list[str]:
        """Everything in it as texts, for its fingerprint."""
        return [*self.firsts, *self.seconds, *map(str, self.scores)]


def read_pairs(source: Source, query: Query, split: str, reading: Reading, scored: bool) -> PairTable:
    """All pairs of one split. Raises DataError when there are none, or a column is not there."""
    table = PairTable()
    for row in good_rows(_checked(source, query, split, reading, scored), reading.on_bad_row, reading.tally):
        table.firsts.append(row["first"])
        table.seconds.append(row["second"])
        if scored:
            table.scores.append(row["score"])
    if not len(table):
        raise DataError(f"{source.name}: no pairs in split '{split}'; give a file with a header and rows")
    return table.select(limited(len(table), query.limit)) if query.limit is not None else table


def _checked(source: Source, query: Query, split: str, reading: Reading, scored: bool) -> Iterator[Row | BadRow]:
    first = second = score = ""
    for number, row in enumerate(source.rows(split, query.encoding or reading.encoding), 1):
        if isinstance(row, BadRow):
            yield row
            continue
        if not first:
            first, second = pair_columns(list(row), query.first, query.second, source.name)
            if scored:
                score = score_column(list(row), query.label, source.name)
        empty = next((column for column in (first, second) if row.get(column) is None), None)
        value = label_value(row.get(score)) if scored else 0.0
        if empty is not None:
            yield BadRow(f"{place_of(row, source.name, number)}: no text in column '{empty}'")
        elif (number_of := _number(value)) is None:
            place = place_of(row, source.name, number)
            yield BadRow(f"{place}: no finite number in column '{score}', but {row.get(score)!r}")
        else:
            yield {"first": str(row[first]), "second": str(row[second]), "score": number_of}


def _number(value: object) -> float | None:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return number if np.isfinite(number) else None


def read_train_and_validation_pairs(address: str, reading: Reading, scored: bool) -> tuple[PairTable, PairTable]:
    """The training pairs of a source and its validation pairs, 2,000 at most; without a validation split, a tenth of train.

    Raises DataError where either holds fewer than two, which leaves nothing to compare.
    """
    path, query = parse_source(address)
    source = open_source(path, query)
    split = existing_split(source, query.split)
    train = read_pairs(source, query, split, reading, scored)
    validation = find_split(source, "validation")
    if validation is not None and validation != split:
        held_out = read_pairs(source, query, validation, reading, scored)
        if min(len(train), len(held_out)) < 2:
            raise DataError(f"{source.name}: a pair alone has nothing to be compared with; give two at least in every split")
        order = generator(SPLIT_SEED, "validation").permutation(len(held_out))
        return train, held_out.select(np.sort(order[:HELD_OUT_MOST]))  # all are compared with all
    if len(train) < 4:
        raise DataError(f"{source.name}: {len(train)} pairs are too few; give four at least, two of them held out")
    order = generator(SPLIT_SEED, "validation").permutation(len(train))
    count = min(HELD_OUT_MOST, max(2, round(len(train) * HELD_OUT_SHARE)))
    return train.select(np.sort(order[count:])), train.select(np.sort(order[:count]))


def read_scored_pairs(address: str, split: str, reading: Reading) -> tuple[PairTable, str]:
    """The pairs to evaluate on, and what to call them; a lone file is taken whole. Raises DataError."""
    path, query = parse_source(address)
    source = open_source(path, query)
    if find_split(source, split) is None and isinstance(source, FileSource):
        return read_pairs(source, query, "train", reading, True), source.path.name
    found = existing_split(source, split, "; choose with --split")
    return read_pairs(source, query, found, reading, True), split
