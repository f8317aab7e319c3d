"""Reads rows from delimited text such as csv and tsv. Every value stays text, including NA, 01 and null."""

from __future__ import annotations

from collections.abc import Iterator

from mtlkit.data.formats.dialect import Dialect, TableLayout
from mtlkit.data.formats.files import DataFile
from mtlkit.data.formats.recorded import layout_of
from mtlkit.data.formats.records import records
from mtlkit.data.formats.text import open_lines
from mtlkit.data.sources.rows import BadRow, PlacedRow, Row


def read_separated(file: DataFile, encoding: str, dialect: Dialect, delimiter: str) -> Iterator[Row | BadRow]:
    """Yields rows as dicts from column name to text. `delimiter` is the default for the suffix; `dialect` overrides it."""
    with open_lines(file, encoding) as lines:
        layout = layout_of(lines, file, dialect, delimiter)
        if layout is None:
            return
        names, named, width = layout.columns, layout.named, layout.width
        all_named = len(named) == width
        for number, fields in records(lines, layout.delimiter, layout.quoting):
            if len(fields) == width and not isinstance(fields, str):
                row = PlacedRow(zip(names, fields if all_named else [fields[index] for index in named]))  # noqa: B905 (too slow)
                row.file = file
                row.number = number
                yield row
            elif isinstance(fields, str):
                yield BadRow(f"{file}:{number}: {fields}")
            else:
                yield BadRow(f"{file}:{number}: {_wrong_width(len(fields), layout)}")


def _wrong_width(fields: int, layout: TableLayout) -> str:
    count = f"{fields} {'field' if fields == 1 else 'fields'}"
    return f"{count}, but the {'header' if layout.header else 'first row'} has {layout.width}"
