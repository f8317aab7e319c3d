"""The rows of a split, each with its text and its label."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Protocol

from mtlkit.config.architecture import TagScheme
from mtlkit.config.held_out import HOLDOUT
from mtlkit.config.source_record import SourceRecord
from mtlkit.data.labels.marks import RawLabel
from mtlkit.data.labels.reader import LabelOptions, LabelReader, label_reader
from mtlkit.data.sources import Source
from mtlkit.data.sources.columns import Columns, choose_columns, join_text, numbered
from mtlkit.data.sources.grammar.spec import Query
from mtlkit.data.sources.pair_columns import is_labelled_pair, labelled_pair_columns
from mtlkit.data.sources.rows import BadRow, OnBadRow, Row, SkippedRows, good_rows, place_of
from mtlkit.errors import DataError


@dataclass(frozen=True)
class ReadOptions:
    """How rows are read: the encoding of text files (None: UTF-8, or as recorded), what to do with bad rows, where those are
    counted, whether to keep the place of each row, how the model at hand was trained to read this task (None: it was not), the
    scheme of the tags of words that a head trains further on (None: it is new), and the share of rows held out for validation
    where a source has no split for it.

    `records` say how the model was trained to read each of its tasks. Splits with several label columns are read once and kept in
    `tables`."""

    encoding: str | None
    on_bad_row: OnBadRow
    tally: SkippedRows
    keep_places: bool = False
    recorded: SourceRecord | None = None
    scheme: TagScheme | None = None
    holdout: float = HOLDOUT
    records: Mapping[str, SourceRecord] = field(default_factory=dict)
    tables: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)


class LabelledRows:
    """The rows of a split with their text and label, and how these are found."""

    def __init__(self, source: Source, query: Query, split: str, reading: ReadOptions) -> None:
        self.source, self.query, self.split, self.reading = source, query, split, reading
        self.columns = Columns((), ())
        self.second: tuple[str, ...] = ()  # the columns of the second text of a pair
        self.reader = LabelReader((), LabelOptions())

    def rows(self) -> Iterator[Row | BadRow]:
        """{"text", "label", "place"} a row, and "second" for pairs of texts."""
        name, keep_places = self.source.name, self.reading.keep_places
        rows = self.source.rows(self.split, self.query.encoding or self.reading.encoding)
        for number, row in numbered(rows, self._choose):
            if isinstance(row, BadRow):
                yield row
                continue
            texts = self._texts(row, number)
            if isinstance(texts, BadRow):
                yield texts
                continue
            label = self._label(row, number)
            if isinstance(label, BadRow):
                yield label
            else:
                yield {**texts, "label": label, "place": place_of(row, name, number) if keep_places else ""}

    def _texts(self, row: Row, number: int) -> Row | BadRow:
        """The text of a row, or the two of a pair, neither of which may be blank."""
        name = self.source.name
        text = join_text(row, self.columns.text, name, number)
        if not self.second:
            return text if isinstance(text, BadRow) else {"text": text}
        second = join_text(row, self.second, name, number)
        for value, columns in ((text, self.columns.text), (second, self.second)):
            if isinstance(value, BadRow):
                return value
            if not value.strip():
                return BadRow(f"{place_of(row, name, number)}: no text in column '{'+'.join(columns)}'")
        return {"text": text, "second": second}

    def _label(self, row: Row, number: int) -> object:
        """What a row has as its label; a BadRow if it has none."""
        label = self._read(self.reader, row, number)
        if label is None:
            return BadRow(f"{place_of(row, self.source.name, number)}: no label in column '{'+'.join(self.reader.columns)}'")
        return label

    def _read(self, reader: LabelReader, row: Row, number: int) -> RawLabel | BadRow | None:
        """The label that a reader finds in a row, if any."""
        try:
            return reader.read(row)
        except ValueError as error:
            place = place_of(row, self.source.name, number)
            return BadRow(f"{place}: column '{'+'.join(reader.columns)}' holds {error}")

    def _choose(self, columns: list[str]) -> None:
        query, recorded, name = self.query, self.reading.recorded, self.source.name
        if is_labelled_pair(query, recorded):
            first, self.second = labelled_pair_columns(columns, query, name, recorded)
            chosen = choose_columns(columns, "+".join((*first, *self.second)), query.label, name, recorded)
            self.columns = replace(chosen, text=first)
        else:
            self.columns = choose_columns(columns, query.text, query.label, name, recorded)
        self.reader = label_reader(self.columns.label, query, recorded)

    def record(self) -> SourceRecord:
        """How the rows were read, once they were."""
        return self.record_of(self.reader)

    def record_of(self, reader: LabelReader) -> SourceRecord:
        """How the rows were read, with labels as a reader found them."""
        options, columns = reader.options, self.columns
        record = self.source.record(self.query.encoding or self.reading.encoding)
        is_pair = bool(self.second)
        return replace(
            record,
            text=() if is_pair else columns.text,
            first="+".join(columns.text) if is_pair else None,
            second="+".join(self.second) if is_pair else None,
            label=reader.columns,
            unused=columns.unused,
            kind=options.kind,
            sep=options.sep,
            order=options.order,
            strip=options.strip,
            fold=options.fold,
            remarks=(*record.remarks, *columns.remarks),
        )


class SplitRows(Protocol):
    """Reads the rows of a split; made from these four."""

    source: Source
    query: Query
    split: str
    reading: ReadOptions

    def rows(self) -> Iterator[Row | BadRow]: ...


def place_of_row(labelled: SplitRows, row: int) -> str:
    """The place of a good row by its number, from 0. The split is read once more, as errors alone need it."""
    reading = replace(labelled.reading, keep_places=True)
    again: Callable[..., SplitRows] = type(labelled)
    rows = again(labelled.source, labelled.query, labelled.split, reading).rows()
    try:
        return str(next(islice(good_rows(rows, "skip", SkippedRows()), row, None))["place"])
    except (DataError, StopIteration):  # what comes from a pipe cannot be read again
        return f"{labelled.source.name}: row {row + 1}"
