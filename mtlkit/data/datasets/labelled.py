"""Texts with labels, split by split, as they come out of a source."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mtlkit.data.datasets.held_out import hold_out, limited
from mtlkit.data.datasets.label_columns import ColumnTable, columns_of_split, train_and_validation_columns
from mtlkit.data.datasets.labelled_rows import LabelledRows, ReadOptions, place_of_row
from mtlkit.data.datasets.labelled_table import LabelledTable
from mtlkit.data.datasets.tagged_rows import TaggedRows, is_tagged
from mtlkit.data.labels.codec import codec_of, infer_kind
from mtlkit.data.labels.marks import RawLabel, RowError
from mtlkit.data.sources import Source, existing_split, find_split, open_source
from mtlkit.data.sources.grammar.spec import Query, parse_source
from mtlkit.data.sources.rows import good_rows
from mtlkit.errors import DataError
from mtlkit.progress import counted


def read_split(source: Source, query: Query, split: str, reading: ReadOptions, *, training: bool = False) -> LabelledTable:
    """All rows of one split. Raises DataError when it has none, or a column is not there; of rows for training, also where labels
    are hardly meant as the classes that they would be."""
    if query.labels:
        return _column(columns_of_split(source, query, split, reading, training=training), query)
    if is_tagged(source, query, reading.recorded):
        return read_tagged(source, query, split, reading)
    texts: list[str] = []
    seconds: list[str] = []
    raw: list[RawLabel] = []
    places: list[str] = []
    labelled = LabelledRows(source, query, split, reading)
    for row in good_rows(counted(labelled.rows(), f"reading {source.name}"), reading.on_bad_row, reading.tally):
        texts.append(row["text"])
        if "second" in row:
            seconds.append(row["second"])
        raw.append(row["label"])
        if reading.keep_places:
            places.append(row["place"])
    if not texts:
        raise no_rows(source, split, reading)
    try:
        labels, names = labelled.reader.finish(raw, source.name)
        kind = labelled.reader.options.kind or infer_kind(labels)
        if training and labelled.reader.options.kind is None:
            codec_of(kind).check_inferred(labels, source.name)
    except RowError as error:
        raise DataError(f"{place_of_row(labelled, error.row)}: {error.reason}") from None
    record = labelled.record()
    remarks = (*record.remarks, *codec_of(kind).remarks(labels, record, source.name))
    table = LabelledTable(texts, labels, places, replace(record, names=names, remarks=remarks), seconds)
    return table.select(limited(len(table), query.limit)) if query.limit is not None else table


def read_tagged(source: Source, query: Query, split: str, reading: ReadOptions) -> LabelledTable:
    """All texts of a split with the tags of their words. Raises DataError when it has none, or a column is not there."""
    tagged = TaggedRows(source, query, split, reading)
    found = list(good_rows(counted(tagged.rows(), f"reading {source.name}"), reading.on_bad_row, reading.tally))
    if not found:
        raise no_rows(source, split, reading, "give a file with texts whose words have tags")
    texts, labels, words = ([row[name] for row in found] for name in ("text", "label", "words"))
    places = [row["place"] for row in found] if reading.keep_places else []
    try:
        labels = tagged.finish(labels)
    except RowError as error:
        raise DataError(f"{place_of_row(tagged, error.row)}: {error.reason}") from None
    table = LabelledTable(texts, labels, places, tagged.record(), words=words)
    return table.select(limited(len(table), query.limit)) if query.limit is not None else table


def no_rows(source: Source, split: str, reading: ReadOptions, hint: str = "give a file with a header and rows") -> DataError:
    """The error about a split without any row that can be read; `hint` is a way on."""
    if reading.tally.skipped:
        return DataError(f"{source.name}: none of the rows in split '{split}' can be read; {reading.tally}")
    return DataError(f"{source.name}: no rows in split '{split}'; {hint}")


def _column(table: ColumnTable, query: Query) -> LabelledTable:
    """The rows with a label in the column that `query` chooses. Raises DataError if there are rows, and none has one."""
    assert query.label is not None
    rows = table.rows_of(query.label)
    record = table.records[query.label]
    if len(table) and not len(rows):
        raise DataError(
            f"{record.source}: no label of column '{query.label}' among the rows of this split; remove it from labels="
        )
    labels = [label for label in table.labels[query.label] if label is not None]
    places = [table.places[row] for row in rows] if table.places else []
    return LabelledTable([table.texts[row] for row in rows], labels, places, record, pool=table.pool, index=rows)


def _opened(address: str, reading: ReadOptions) -> tuple[Source, Query]:
    """The source at an address with keys, and these."""
    path, query = parse_source(address)
    return open_source(path, query, [reading.recorded] if reading.recorded else []), query


def read_train_and_validation(address: str, reading: ReadOptions) -> tuple[LabelledTable, LabelledTable]:
    """The training rows of a source and its validation rows; without a validation split, a stratified share of train,
    no text of which is in the rest, too: a tenth, or as many as `--holdout` says."""
    source, query = _opened(address, reading)
    if query.labels:
        train_columns, held_out = train_and_validation_columns(source, query, reading)
        return _column(train_columns, query), _column(held_out, query)
    split = existing_split(source, query.split)
    train = read_split(source, query, split, reading, training=True)
    validation = find_split(source, "validation")
    if validation is not None and validation != split:
        if train.record.kind is None and codec_of(kind := infer_kind(train.labels)).checks_labels:
            query = replace(query, kind=kind)  # so that a label that cannot be of this kind is a bad row
        return train, read_split(source, query, validation, reading)
    held = hold_out(train.labels, source.name, train.record.kind, train.examples, reading.holdout)
    return train.select(np.flatnonzero(~held)), train.select(np.flatnonzero(held))


def read_test(address: str, reading: ReadOptions) -> LabelledTable | None:
    """The test rows of a source; None where it has none, or they are what is trained on."""
    source, query = _opened(address, reading)
    test = find_split(source, "test")
    return None if test is None or test == find_split(source, query.split) else read_split(source, query, test, reading)


def holds_out(address: str) -> bool:
    """Whether the validation rows of a source are held out of its training rows because it has no validation split."""
    path, query = parse_source(address)
    source = open_source(path, query)
    return find_split(source, "validation") in (None, find_split(source, query.split))


def labels_words(address: str) -> bool:
    """Whether the rows of a source have labels for words."""
    path, query = parse_source(address)
    return is_tagged(open_source(path, query), query, None)


def read_train_and_test(address: str, split: str, reading: ReadOptions) -> tuple[LabelledTable, LabelledTable]:
    """The training rows of a source, cut by its `limit`, and all rows of the split to score on, which it does not cut.

    Raises DataError where one is missing, or both are the same.
    """
    source, query = _opened(address, reading)
    train = existing_split(source, query.split)
    test = existing_split(source, split, "; choose with --split, or give a folder that has it")
    if train == test:
        raise DataError(f"{source.name}: split '{split}' is what is trained on; score on another one with --split")
    return read_split(source, query, train, reading, training=True), read_split(source, replace(query, limit=None), test, reading)


def read_for_evaluation(address: str, split: str, reading: ReadOptions, *, named: bool) -> tuple[LabelledTable, str]:
    """The rows to evaluate on, and what to call them.

    A lone file that was `named` for the evaluation is evaluated whole; one that was trained on is not. Where a split is
    missing, `validation` falls back to the share that training holds out. Raises DataError when there is nothing to take.
    """
    source, query = _opened(address, reading)
    if find_split(source, split) is None:
        if named and source.single_file:
            return read_split(source, query, "train", reading), source.single_file
        if split == "validation":
            if not reading.holdout:
                raise DataError(f"{source.name}: all rows were trained on (--holdout 0); name others with --task NAME=FILE")
            return read_train_and_validation(address, reading)[1], "validation"
    validation = "--split validation (held-out rows), or " if reading.holdout else ""
    found = existing_split(source, split, f"; use {validation}--task NAME=FILE")
    return read_split(source, query, found, reading), split
