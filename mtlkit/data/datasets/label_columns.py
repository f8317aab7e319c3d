"""Splits with labels in several columns: each column is a table of its own, and all share their texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from mtlkit.config.architecture import Kind
from mtlkit.config.source_record import SourceRecord
from mtlkit.data.batching import Rows
from mtlkit.data.datasets.column_rows import ColumnRows
from mtlkit.data.datasets.held_out import limited
from mtlkit.data.datasets.held_out_columns import hold_out_columns
from mtlkit.data.datasets.labelled_rows import ReadOptions, place_of_row
from mtlkit.data.datasets.text_pool import TextPool
from mtlkit.data.labels.codec import codec_of, infer_kind
from mtlkit.data.labels.marks import Label, RawLabel, RowError
from mtlkit.data.sources import Source, existing_split, find_split
from mtlkit.data.sources.grammar.spec import Query
from mtlkit.data.sources.rows import good_rows
from mtlkit.errors import DataError
from mtlkit.progress import counted


@dataclass(frozen=True)
class ColumnTable:
    """The texts of a split that have a label in at least one of several columns, and their places where those are kept; their
    labels by column (None: a gap), and how these were read."""

    texts: list[str]
    places: list[str]
    labels: Mapping[str, Sequence[Label | None]]
    records: Mapping[str, SourceRecord]

    def __len__(self) -> int:
        return len(self.texts)

    @cached_property
    def pool(self) -> TextPool:
        return TextPool(self.texts)

    @property
    def kinds(self) -> dict[str, Kind]:
        """The kind of each column: as specified, or inferred."""
        return {name: self.records[name].kind or infer_kind(_present(labels)) for name, labels in self.labels.items()}

    def rows_of(self, column: str) -> Rows:
        """The rows that have a label in a column, ascending."""
        return np.array([row for row, label in enumerate(self.labels[column]) if label is not None], np.int64)

    def select(self, rows: Rows) -> ColumnTable:
        labels = {name: [values[row] for row in rows] for name, values in self.labels.items()}
        places = [self.places[row] for row in rows] if self.places else []
        return ColumnTable([self.texts[row] for row in rows], places, labels, self.records)


def read_columns(source: Source, query: Query, split: str, reading: ReadOptions, *, training: bool) -> ColumnTable:
    """All rows of one split with a label in at least one of the columns of `query.labels`.

    Raises DataError if a column is missing or has no label at all; of rows for training, also where the labels of a column are
    hardly meant as the classes that they would be.
    """
    texts: list[str] = []
    raw: list[tuple[RawLabel | None, ...]] = []
    places: list[str] = []
    rows = ColumnRows(source, query, split, reading)
    read = blank = 0
    numbers: list[int] = []  # of the rows that are kept, among all rows that could be read
    for read, row in enumerate(good_rows(counted(rows.rows(), f"reading {source.name}"), reading.on_bad_row, reading.tally), 1):
        if all(label is None for label in row["label"]):
            blank += 1
            continue
        texts.append(row["text"])
        raw.append(row["label"])
        numbers.append(read - 1)
        if reading.keep_places:
            places.append(row["place"])
    if not read:
        skipped = f"none of the rows in split '{split}' can be read; {reading.tally}"
        empty = f"no rows in split '{split}'; give a file with a header and rows"
        raise DataError(f"{source.name}: {skipped if reading.tally.skipped else empty}")
    labels: dict[str, Sequence[Label | None]] = {}
    records: dict[str, SourceRecord] = {}
    for position, column in enumerate(query.labels):
        own = [row for row, values in enumerate(raw) if values[position] is not None]
        if not own:
            raise DataError(f"{source.name}: column '{column.name}' has no label in split '{split}'; remove it from labels=")
        reader = rows.readers[position]
        try:
            finished, names = reader.finish([label for values in raw if (label := values[position]) is not None], source.name)
            kind = reader.options.kind or infer_kind(finished)
            if training and reader.options.kind is None:
                codec_of(kind).check_inferred(finished, source.name)
        except RowError as error:
            place = place_of_row(rows, numbers[own[error.row]])
            raise DataError(f"{place}: {error.reason}") from None
        spread: list[Label | None] = [None] * len(texts)
        for number, label in zip(own, finished, strict=True):
            spread[number] = label
        labels[column.name] = spread
        record = rows.record_of(reader)
        remarks = [*record.remarks, *codec_of(kind).remarks(finished, record, source.name)]
        if blank:
            remarks.append(f"{source.name}: {blank:,} of {read:,} rows in split '{split}' have no label at all; left out")
        records[column.name] = replace(record, names=names, remarks=tuple(remarks))
    return ColumnTable(texts, places, labels, records)


def columns_of_split(source: Source, query: Query, split: str, reading: ReadOptions, *, training: bool = False) -> ColumnTable:
    """All label columns of one split, read once for all of them."""
    key = f"{source.name} {split} {training} {query.table!r}"
    if key not in reading.tables:
        table = read_columns(source, query, split, reading, training=training)
        reading.tables[key] = table if query.limit is None else table.select(limited(len(table), query.limit))
    table = reading.tables[key]
    assert isinstance(table, ColumnTable)
    return table


def train_and_validation_columns(source: Source, query: Query, reading: ReadOptions) -> tuple[ColumnTable, ColumnTable]:
    """The training and validation rows of all label columns; the latter are held out once for all of them."""
    split, validation = existing_split(source, query.split), find_split(source, "validation")
    train = columns_of_split(source, query, split, reading, training=True)
    if validation is not None and validation != split:
        return train, columns_of_split(source, with_kinds(query, train.kinds), validation, reading)
    key = f"{source.name} held out {query.table!r}"
    if key not in reading.tables:
        held = hold_out_columns(train.labels, train.kinds, train.texts, source.name, reading.holdout)
        reading.tables[key] = tuple(train.select(np.flatnonzero(side)) for side in (~held, held))
    train, held_out = reading.tables[key]
    return train, held_out


def with_kinds(query: Query, kinds: Mapping[str, Kind]) -> Query:
    """The query with the kinds of columns whose labels can be refused, so that such a row of another split is a bad row."""
    columns = (
        replace(column, keys={**column.keys, "kind": kinds[column.name]})
        if codec_of(kinds[column.name]).checks_labels
        else column
        for column in query.labels
    )
    return replace(query, labels=tuple(columns))


def _present(labels: Sequence[Label | None]) -> list[Label]:
    return [label for label in labels if label is not None]
