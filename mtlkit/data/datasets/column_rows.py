"""The rows of a split with labels in several columns."""

from __future__ import annotations

from mtlkit.data.datasets.labelled_rows import LabelledRows, ReadOptions
from mtlkit.data.datasets.tagged_rows import TaggedRows, is_tagged
from mtlkit.data.labels.marks import RawLabel
from mtlkit.data.labels.reader import LabelReader, label_reader
from mtlkit.data.sources import Source
from mtlkit.data.sources.columns import choose_columns, named_columns
from mtlkit.data.sources.grammar.spec import Query
from mtlkit.data.sources.rows import BadRow, Row


class ColumnRows(LabelledRows):
    """The rows of a split with their text and a label for each of several columns: None where a row has none, a gap."""

    readers: tuple[LabelReader, ...] = ()

    def _label(self, row: Row, number: int) -> tuple[RawLabel | None, ...] | BadRow:
        labels: list[RawLabel | None] = []
        for reader in self.readers:
            label = None if _is_blank(row, reader) else self._read(reader, row, number)
            if isinstance(label, BadRow):
                return label
            labels.append(label)
        return tuple(labels)

    def _choose(self, columns: list[str]) -> None:
        query, name, records = self.query, self.source.name, self.reading.records
        recorded = next((records[column.task] for column in query.labels if column.task in records), None)
        label = "+".join(column.name for column in query.labels)
        self.columns = choose_columns(columns, query.text, label, name, recorded)
        self.readers = tuple(
            label_reader(named_columns("label", columns, column.name, name), query.of_column(column), records.get(column.task))
            for column in query.labels
        )


def _is_blank(row: Row, reader: LabelReader) -> bool:
    """Whether the cell is blank: a gap, also in a column of several labels, where `LabelReader` finds a row without any."""
    value = row.get(reader.columns[0]) if len(reader.columns) == 1 else None
    return isinstance(value, str) and not value.strip()


def rows_of(source: Source, query: Query, split: str, reading: ReadOptions) -> LabelledRows | TaggedRows:
    """The rows of a split with the labels of one column, of all the columns that a query names, or of words."""
    if is_tagged(source, query, reading.recorded):
        return TaggedRows(source, query, split, reading)
    return (ColumnRows if query.labels else LabelledRows)(source, query, split, reading)
