"""Texts with labels, split by split, as they come out of a source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite

import numpy as np

from mtlkit.data.batching import Rows, generator
from mtlkit.data.columns import join_text, label_column, label_value, text_columns
from mtlkit.data.grammar import Query, parse_source
from mtlkit.data.readers import BadRow, OnBadRow, Tally, good_rows, place_of
from mtlkit.data.sources import FileSource, Source, existing_split, find_split, open_source
from mtlkit.errors import DataError

Label = str | float | tuple[str, ...]

HELD_OUT_SHARE = 0.1  # of train, where a source has no validation split
SPLIT_SEED = 0  # the same rows are held out whatever the seed of the training, so that runs can be compared


@dataclass(frozen=True)
class Table:
    """Texts and their labels, row by row; where they stand (`train.csv:12`) if the reading was to keep that."""

    texts: list[str]
    labels: list[Label]
    places: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.texts)

    def select(self, rows: Rows) -> Table:
        places = [self.places[row] for row in rows] if self.places else []
        return Table([self.texts[row] for row in rows], [self.labels[row] for row in rows], places)


@dataclass(frozen=True)
class Reading:
    """How rows are read: the encoding of text files, what to do with bad rows, where those are counted, and whether to keep
    where each row stands."""

    encoding: str
    on_bad_row: OnBadRow
    tally: Tally
    keep_places: bool = False


def read_split(source: Source, query: Query, split: str, reading: Reading) -> Table:
    """All rows of one split. Raises DataError when it has none, or a column is not there."""
    table = Table([], [])
    for text, label, place in _rows(source, query, split, reading):
        table.texts.append(text)
        table.labels.append(label)
        if reading.keep_places:
            table.places.append(place)
    if not table.texts:
        skipped = f" that can be read ({reading.tally.skipped} skipped)" if reading.tally.skipped else ""
        raise DataError(f"{source.name}: no rows{skipped} in split '{split}'; give a file with a header and rows")
    return table.select(limited(len(table), query.limit)) if query.limit is not None else table


def limited(rows: int, limit: int) -> Rows:
    """Which of so many rows a limit leaves, in their order: the same ones whatever the seed of a training."""
    return np.sort(generator(SPLIT_SEED, "limit").permutation(rows)[:limit])


def _rows(source: Source, query: Query, split: str, reading: Reading) -> Iterator[tuple[str, Label, str]]:
    columns: list[str] = []
    label_name = ""

    def checked() -> Iterator[dict[str, object] | BadRow]:
        nonlocal columns, label_name
        for number, row in enumerate(source.rows(split, query.encoding or reading.encoding), 1):
            if isinstance(row, BadRow):
                yield row
                continue
            if not columns:
                label_name = label_column(list(row), query.label, source.name)
                columns = text_columns([name for name in row if name != label_name], query.text, source.name)
            text, label = join_text(row, columns), label_value(row.get(label_name))
            if text is None:
                yield BadRow(f"{place_of(row, source.name, number)}: no text in column '{'+'.join(columns)}'")
            elif label is None or label == "" or (isinstance(label, float) and not isfinite(label)):
                yield BadRow(f"{place_of(row, source.name, number)}: no label in column '{label_name}'")
            else:
                place = place_of(row, source.name, number) if reading.keep_places else ""
                yield {"text": text, "label": label, "place": place}

    for row in good_rows(checked(), reading.on_bad_row, reading.tally):
        yield row["text"], row["label"], row["place"]


def read_train_and_validation(address: str, reading: Reading) -> tuple[Table, Table]:
    """The training rows of a source and its validation rows; without a validation split, a stratified tenth of train."""
    path, query = parse_source(address)
    source = open_source(path, query)
    split = existing_split(source, query.split)
    train = read_split(source, query, split, reading)
    validation = find_split(source, "validation")
    if validation is not None and validation != split:
        return train, read_split(source, query, validation, reading)
    held = hold_out(train.labels, source.name)
    return train.select(np.flatnonzero(~held)), train.select(np.flatnonzero(held))


def read_test(address: str, reading: Reading) -> Table | None:
    """The test rows of a source; None where it has none, or they are what is trained on."""
    path, query = parse_source(address)
    source = open_source(path, query)
    test = find_split(source, "test")
    return None if test is None or test == find_split(source, query.split) else read_split(source, query, test, reading)


def holds_out(address: str) -> bool:
    """Whether the validation rows of a source are held out of its training rows, for want of a split of their own."""
    path, query = parse_source(address)
    source = open_source(path, query)
    return find_split(source, "validation") in (None, find_split(source, query.split))


def read_train_and_test(address: str, split: str, reading: Reading) -> tuple[Table, Table]:
    """The training rows of a source, cut by its `limit`, and all rows of the split to score on, which it does not cut.

    Raises DataError where one is missing, or both are the same.
    """
    path, query = parse_source(address)
    source = open_source(path, query)
    train = existing_split(source, query.split)
    test = existing_split(source, split, "; choose with --split, or give a folder that has it")
    if train == test:
        raise DataError(f"{source.name}: split '{split}' is what is trained on; score on another one with --split")
    return read_split(source, query, train, reading), read_split(source, replace(query, limit=None), test, reading)


def read_for_evaluation(address: str, split: str, reading: Reading, *, named: bool) -> tuple[Table, str]:
    """The rows to evaluate on, and what to call them.

    A lone file that was `named` for the evaluation is evaluated whole; one that was trained on is not. Where a split is
    missing, `validation` falls back to the tenth that training holds out. Raises DataError when there is nothing to take.
    """
    path, query = parse_source(address)
    source = open_source(path, query)
    if find_split(source, split) is None:
        if named and isinstance(source, FileSource):
            return read_split(source, query, "train", reading), source.path.name
        if split == "validation":
            return read_train_and_validation(address, reading)[1], "validation"
    found = existing_split(source, split, "; use --split validation (held-out rows), or --task NAME=FILE")
    return read_split(source, query, found, reading), split


def hold_out(labels: Sequence[Label], place: str) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Marks a tenth of the rows, of each class where labels are classes; a class with one row stays in train.

    Raises DataError when there are fewer than two rows, naming the `place` that they are from.
    """
    if len(labels) < 2:
        raise DataError(f"{place}: {len(labels)} row is too few: a task needs two at least, one of them held out")
    strata: dict[Label, list[int]] = {}
    for row, label in enumerate(labels):
        strata.setdefault(label if isinstance(label, str) else "", []).append(row)
    random = generator(SPLIT_SEED, "validation")
    held = np.zeros(len(labels), bool)
    for rows in strata.values():
        count = round(len(rows) * HELD_OUT_SHARE) or int(len(rows) > 1)
        held[random.permutation(np.array(rows))[:count]] = True
    if not held.any():
        held[random.integers(len(labels))] = True
    return held


def cap_tables(tables: dict[str, Table], cap: int | str | None) -> dict[str, Table]:
    """Training tables with at most `cap` rows each; "shortest" cuts all to the smallest. Rows are drawn at random."""
    if cap is None:
        return tables
    most = min(map(len, tables.values())) if cap == "shortest" else int(cap)
    capped = {}
    for name, table in tables.items():
        rows = generator(SPLIT_SEED, "cap", name).permutation(len(table))[:most]
        capped[name] = table if len(table) <= most else table.select(np.sort(rows))
    return capped
