"""Reads the texts of a source as a stream."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from mtlkit.config.paths import expand
from mtlkit.config.source_record import SourceRecord
from mtlkit.data.formats.files import LocalFile, split_suffix
from mtlkit.data.sources import FileSource, Source, StandardInput, existing_split, open_source
from mtlkit.data.sources.columns import Columns, join_text, numbered, text_columns, with_columns
from mtlkit.data.sources.grammar.spec import Query, exists, parse_source
from mtlkit.data.sources.parquet import parquet_batches, parquet_file
from mtlkit.data.sources.rows import BadRow, Row
from mtlkit.errors import DataError, NoRowsError

ADVICE = "specify --column NAME"


def open_input(input: str | Path, column: str | None = None, recorded: Sequence[SourceRecord] = ()) -> tuple[Source, Query]:
    """The source of an input, and its keys with the requested column. Raises DataError for a folder or a missing file."""
    address, query = parse_source(address_of(input))
    query = replace(query, text=column or query.text)
    source = open_source(address, query, recorded)
    if source.not_a_table:
        raise DataError(f"{address}: {source.not_a_table}")
    return source, query


def read_column(
    input: str | Path, column: str | None, encoding: str | None, recorded: Sequence[SourceRecord] = ()
) -> Iterator[str]:
    """The texts of a source, which may have keys, in row order; several columns are joined.

    `recorded` is how a model's training data was read, the default for this source. Raises DataError.
    """
    source, query = open_input(input, column, recorded)
    column, encoding = query.text, query.encoding or encoding
    if isinstance(source, FileSource) and _is_parquet(source.path.name):
        batches = _parquet_texts(LocalFile(source.path), column, recorded)
        if batches is not None:
            return chain.from_iterable(batches)
    return (text for text, _ in texts_and_rows(source, existing_split(source, query.split), column, encoding, recorded))


def input_record(
    input: str | Path, column: str | None, encoding: str | None, recorded: Sequence[SourceRecord] = ()
) -> SourceRecord:
    """How `read_column` reads a source, judging by its beginning. Raises DataError."""
    address, query = parse_source(address_of(input))
    column, encoding = column or query.text, query.encoding or encoding
    source = open_source(address, replace(query, text=column), recorded)
    if source.not_a_table:
        return SourceRecord(address)  # an error in `read_column`
    record = source.record(encoding)
    if column is not None or record.format == "txt":
        return record
    if isinstance(source, FileSource) and _is_parquet(source.path.name):
        with parquet_file(source.path) as opened:
            names = list(opened.schema_arrow.names)
    else:
        names, _ = with_columns(source.rows(existing_split(source, query.split), encoding))
    columns = text_columns(names, None, source.name, ADVICE, recorded) if names else Columns((), ())
    return replace(record, text=columns.text, unused=columns.unused, remarks=(*record.remarks, *columns.remarks))


def address_of(input: str | Path) -> str:
    """The address as the user typed it; a Path has lost one slash of `s3://bucket`."""
    return re.sub(r"^([A-Za-z][A-Za-z0-9+.-]+):/(?!/)", r"\1://", str(input))


def count_rows(input: str | Path) -> int | None:
    """The number of rows of a parquet file, from its metadata; None for other files."""
    address = parse_source(address_of(input))[0]
    path = expand(address) if exists(address) else Path(address)
    if not _is_parquet(path.name) or not path.is_file():
        return None
    with parquet_file(path) as file:
        rows: int = file.metadata.num_rows
        return rows


def _is_parquet(name: str) -> bool:
    return split_suffix(name) == (".parquet", None)


def texts_and_rows(
    source: Source, split: str, column: str | None, encoding: str | None, recorded: Sequence[SourceRecord]
) -> Iterator[tuple[str, Row]]:
    """The texts of a source and the rows that they are in. Raises DataError."""
    columns: tuple[str, ...] = ()

    def choose(names: list[str]) -> None:
        nonlocal columns
        columns = _choose_columns(source, names, column, recorded)

    if source.record(encoding).format == "txt":  # every line is a text, whatever columns the model's data had
        recorded = ()
    number = 0
    for number, row in numbered(source.rows(split, encoding), choose):
        if isinstance(row, BadRow):  # never skipped: each text must keep its row number
            raise DataError(row.reason)
        text = join_text(row, columns, source.name, number)
        if isinstance(text, BadRow):
            raise DataError(text.reason)
        yield text, row
    if not number:
        raise _no_rows(source.name)


def _choose_columns(
    source: Source, names: Sequence[str], column: str | None, recorded: Sequence[SourceRecord]
) -> tuple[str, ...]:
    """The columns to read. Raises DataError for standard input if there is a remark, as it has no record to show that."""
    columns = text_columns(names, column, source.name, ADVICE, recorded)
    if columns.remarks and isinstance(source, StandardInput):
        raise DataError(f"{columns.remarks[0].partition(';')[0]}; {ADVICE}")
    return columns.text


def _parquet_texts(file: LocalFile, column: str | None, recorded: Sequence[SourceRecord]) -> Iterator[list[str]] | None:
    """Lists of texts, reading only the chosen columns; None if one does not hold plain text."""
    import pyarrow

    with parquet_file(file) as opened:
        schema = opened.schema_arrow
        if not opened.metadata.num_rows:
            raise _no_rows(str(file))
    if column is not None and any("." in name and name not in schema.names for name in column.split("+")):
        return None  # a nested field
    columns = text_columns(schema.names, column, str(file), ADVICE, recorded).text
    plain = (pyarrow.string(), pyarrow.large_string())
    return _read_batches(file, columns) if all(schema.field(name).type in plain for name in columns) else None


def _read_batches(file: LocalFile, columns: Sequence[str]) -> Iterator[list[str]]:
    rows = 0
    with parquet_file(file) as opened:
        for batch in parquet_batches(opened, file, list(columns)):
            values: Sequence[list[Any]] = [batch.column(name).to_pylist() for name in columns]
            if any(batch.column(name).null_count for name in columns):
                first = min(value.index(None) for value in values if None in value)
                raise _no_text(str(file), rows + first + 1, columns)
            yield values[0] if len(values) == 1 else [" ".join(texts) for texts in zip(*values, strict=True)]
            rows += len(batch)


def _no_text(name: str, number: int, columns: Sequence[str]) -> DataError:
    return DataError(f"{name}: row {number} has no text in column '{'+'.join(columns)}'")


def _no_rows(name: str) -> NoRowsError:
    return NoRowsError(f"{name}: no rows; give a file with a header and rows")
