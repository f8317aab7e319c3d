"""Texts with labels, split by split, as they come out of a source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from mtlkit.config.architecture import Kind
from mtlkit.config.source_record import SourceRecord
from mtlkit.data.batching import Rows, generator
from mtlkit.data.grammar import Query, parse_source
from mtlkit.data.held_out import SPLIT_SEED, hold_out
from mtlkit.data.label_reader import Label, RawLabel
from mtlkit.data.labelled_rows import LabelledRows, Reading
from mtlkit.data.labels import check_classes, infer_kind
from mtlkit.data.readers import good_rows
from mtlkit.data.sources import FileSource, Source, existing_split, find_split, open_source
from mtlkit.data.values import class_name, shown
from mtlkit.errors import DataError, listed


@dataclass(frozen=True)
class Table:
    """Texts and their labels, row by row; the place of each (`train.csv:12`) where that is kept; and how they were read."""

    texts: list[str]
    labels: list[Label]
    places: list[str] = field(default_factory=list)
    record: SourceRecord = field(default_factory=lambda: SourceRecord(""), compare=False)

    def __len__(self) -> int:
        return len(self.texts)

    def select(self, rows: Rows) -> Table:
        places = [self.places[row] for row in rows] if self.places else []
        return Table([self.texts[row] for row in rows], [self.labels[row] for row in rows], places, self.record)


def read_split(source: Source, query: Query, split: str, reading: Reading) -> Table:
    """All rows of one split. Raises DataError when it has none, or a column is not there."""
    texts: list[str] = []
    raw: list[RawLabel] = []
    places: list[str] = []
    labelled = LabelledRows(source, query, split, reading)
    for row in good_rows(labelled.rows(), reading.on_bad_row, reading.tally):
        texts.append(row["text"])
        raw.append(row["label"])
        if reading.keep_places:
            places.append(row["place"])
    if not texts:
        skipped = f" that can be read ({reading.tally.skipped} skipped)" if reading.tally.skipped else ""
        raise DataError(f"{source.name}: no rows{skipped} in split '{split}'; give a file with a header and rows")
    labels, names = labelled.reader.finish(raw, source.name)
    record = labelled.record()
    remarks = (*record.remarks, *whole_numbers(labels, record.kind, source.name), *unsplit_labels(labels, record, source.name))
    table = Table(texts, labels, places, replace(record, names=names, remarks=remarks))
    return table.select(limited(len(table), query.limit)) if query.limit is not None else table


def read_training_rows(source: Source, query: Query, split: str, reading: Reading) -> Table:
    """All rows of the split to train on. Raises DataError also where nearly every row has a class of its own."""
    table = read_split(source, query, split, reading)
    if table.record.kind is None:
        check_classes(table.labels, source.name)
    return table


def whole_numbers(labels: Sequence[Label], kind: Kind | None, place: str) -> Iterator[str]:
    """That floats without a fraction are read as classes."""
    numbers = {label for label in labels if isinstance(label, float)}
    if kind is None and numbers and infer_kind(labels) == "classification":
        found = listed(map(class_name, sorted(numbers)), 5)
        yield f"{place}: labels are whole numbers ({found}), read as classes; to learn them as numbers, specify kind=regression"


def unsplit_labels(labels: Sequence[Label], record: SourceRecord, place: str) -> Iterator[str]:
    """That each row of a multi-label task has one label, though these look like several."""
    if record.kind != "multi-label" or record.sep is not None or any(isinstance(label, tuple) for label in labels):
        return
    for sep in "|;,":
        if label := next((label for label in labels if isinstance(label, str) and sep in label), None):
            yield f"{place}: each row has one label, such as {shown(label)}; to split labels at '{sep}', specify sep={sep}"
            return


def limited(rows: int, limit: int) -> Rows:
    """Which of so many rows a limit leaves, in their order: the same ones whatever the seed of a training."""
    return np.sort(generator(SPLIT_SEED, "limit").permutation(rows)[:limit])


def _opened(address: str, reading: Reading) -> tuple[Source, Query]:
    """The source at an address with keys, and these."""
    path, query = parse_source(address)
    return open_source(path, query, [reading.recorded] if reading.recorded else []), query


def read_train_and_validation(address: str, reading: Reading) -> tuple[Table, Table]:
    """The training rows of a source and its validation rows; without a validation split, a stratified tenth of train,
    no text of which is in the rest, too."""
    source, query = _opened(address, reading)
    split = existing_split(source, query.split)
    train = read_training_rows(source, query, split, reading)
    validation = find_split(source, "validation")
    if validation is not None and validation != split:
        return train, read_split(source, query, validation, reading)
    held = hold_out(train.labels, source.name, train.record.kind, train.texts)
    return train.select(np.flatnonzero(~held)), train.select(np.flatnonzero(held))


def read_test(address: str, reading: Reading) -> Table | None:
    """The test rows of a source; None where it has none, or they are what is trained on."""
    source, query = _opened(address, reading)
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
    source, query = _opened(address, reading)
    train = existing_split(source, query.split)
    test = existing_split(source, split, "; choose with --split, or give a folder that has it")
    if train == test:
        raise DataError(f"{source.name}: split '{split}' is what is trained on; score on another one with --split")
    return read_training_rows(source, query, train, reading), read_split(source, replace(query, limit=None), test, reading)


def read_for_evaluation(address: str, split: str, reading: Reading, *, named: bool) -> tuple[Table, str]:
    """The rows to evaluate on, and what to call them.

    A lone file that was `named` for the evaluation is evaluated whole; one that was trained on is not. Where a split is
    missing, `validation` falls back to the tenth that training holds out. Raises DataError when there is nothing to take.
    """
    source, query = _opened(address, reading)
    if find_split(source, split) is None:
        if named and isinstance(source, FileSource):
            return read_split(source, query, "train", reading), source.path.name
        if split == "validation":
            return read_train_and_validation(address, reading)[1], "validation"
    found = existing_split(source, split, "; use --split validation (held-out rows), or --task NAME=FILE")
    return read_split(source, query, found, reading), split


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
