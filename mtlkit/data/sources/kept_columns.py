"""Reads the columns of an input that its output carries along."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from mtlkit.config.source_record import SourceRecord
from mtlkit.data.formats.files import DataFile
from mtlkit.data.outputs.columns import Column, Kind, as_kind, kind_of_values
from mtlkit.data.sources import FilesSource, Source, existing_split
from mtlkit.data.sources.columns import LOOK_AHEAD, existing_column, with_columns
from mtlkit.data.sources.pair_files import pairs_and_rows
from mtlkit.data.sources.parquet import class_columns, parquet_file
from mtlkit.data.sources.rows import BadRow, Row, nested_value, place_of
from mtlkit.data.sources.text_files import open_input, texts_and_rows
from mtlkit.errors import NoRowsError


@dataclass(frozen=True)
class KeptRow:
    """A text, or a pair of texts, and the values of the columns that are carried along."""

    example: str | tuple[str, str]
    values: tuple[Any, ...]

    def __len__(self) -> int:
        """The number of letters."""
        return len(self.example) if isinstance(self.example, str) else sum(map(len, self.example))


def kept_columns(address: str, names: Sequence[str], encoding: str | None, recorded: Sequence[SourceRecord]) -> list[Column]:
    """The kept columns of a table with their kinds: those of a parquet file's schema, else of the first rows. Raises DataError
    for a missing column, NoRowsError for a table without rows."""
    source, query = open_input(address, None, recorded)
    split = existing_split(source, query.split)
    if kinds := _parquet_kinds(source, split):
        return [Column(name, kinds[existing_column(name, list(kinds), source.name)]) for name in names]
    columns, rows = with_columns(source.rows(split, query.encoding or encoding))
    if not columns:
        raise NoRowsError(f"{source.name}: no rows; give a file with a header and rows")
    first = [row for row in islice(rows, LOOK_AHEAD) if not isinstance(row, BadRow)]
    for name in names:
        if "." not in name or all(nested_value(row, name) is None for row in first):
            existing_column(name, columns, source.name)
    return [Column(name, kind_of_values(_value(row, name) for row in first)) for name in names]


def _parquet_kinds(source: Source, split: str) -> dict[str, Kind]:
    """The kinds of a parquet file's columns; none for other files."""
    if not isinstance(source, FilesSource):
        return {}
    file: DataFile = source.grouped().all()[split][0]
    if not file.file_name.lower().endswith(".parquet") or source.dialect.format is not None:
        return {}
    with parquet_file(file) as opened:
        schema = opened.schema_arrow
    named = class_columns(schema)
    return {field.name: "string" if field.name in named else _arrow_kind(field.type) for field in schema}


def _arrow_kind(kind: Any) -> Kind:
    from pyarrow import types

    if types.is_boolean(kind):
        return "bool"
    if types.is_integer(kind):
        return "int" if not types.is_uint64(kind) else "json"
    if types.is_floating(kind):
        return "float"
    return "json" if types.is_nested(kind) else "string"


def texts_and_values(
    address: str, column: str | None, encoding: str | None, recorded: Sequence[SourceRecord], keep: Sequence[Column]
) -> Iterator[KeptRow]:
    """The texts of a table with the values of its kept columns. Raises DataError."""
    kept_columns(address, [column.name for column in keep], encoding, recorded)  # raises if it has no such column
    source, query = open_input(address, column, recorded)
    source = _also_nested(source, keep)
    rows = texts_and_rows(source, existing_split(source, query.split), query.text, query.encoding or encoding, recorded)
    return (KeptRow(text, _values(row, keep, source.name, number)) for number, (text, row) in enumerate(rows, 1))


def pairs_and_values(
    address: str, pair: str | None, encoding: str | None, recorded: Sequence[SourceRecord], keep: Sequence[Column]
) -> Iterator[KeptRow]:
    """The pairs of a table with the values of its kept columns. Raises DataError."""
    kept_columns(address, [column.name for column in keep], encoding, recorded)
    rows = pairs_and_rows(address, pair, encoding, recorded)
    return (KeptRow(texts, _values(row, keep, address, number)) for number, (texts, row) in enumerate(rows, 1))


def _also_nested(source: Source, keep: Sequence[Column]) -> Source:
    """The source, which also reads the nested fields that are kept."""
    nested = tuple(column.name for column in keep if "." in column.name)
    return replace(source, columns=(*source.columns, *nested)) if nested and isinstance(source, FilesSource) else source


def _values(row: Row, keep: Sequence[Column], source: str, number: int) -> tuple[Any, ...]:
    place = place_of(row, source, number)
    return tuple(as_kind(_value(row, column.name), column, place) for column in keep)


def _value(row: Row, name: str) -> Any:
    return row[name] if name in row else nested_value(row, name)
