"""Reads files as streams of rows, each format with its own reader.

A reader yields a dict per row, or a `BadRow` with place and reason; `good_rows` stops at those, or skips and counts them.
Local text files are not read with `datasets`: it reads NA as a missing value, guesses the types of labels (1, 01 and 1.0 would
be one class) and cannot name the line of a malformed row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from mtlkit.config.source_record import SourceRecord
from mtlkit.data.formats.conll import SUFFIXES, read_conll
from mtlkit.data.formats.dialect import USUAL_NAMES, Dialect
from mtlkit.data.formats.files import COMPRESSIONS, DataFile, split_suffix
from mtlkit.data.formats.json_rows import read_json, read_json_lines
from mtlkit.data.formats.lines import is_fasttext, read_lines
from mtlkit.data.formats.one_column import table_in_text
from mtlkit.data.formats.recorded import format_suffix, layout_of, recorded_encoding, recorded_suffix
from mtlkit.data.formats.separated import read_separated
from mtlkit.data.formats.text import open_lines
from mtlkit.data.formats.unsupported import conversion
from mtlkit.data.sources.parquet import as_file, read_arrow, read_parquet
from mtlkit.data.sources.rows import BadRow, Row
from mtlkit.errors import DataError, listed

DELIMITERS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
TEXT_READERS: dict[str, Callable[[DataFile, str], Iterator[Row | BadRow]]] = {
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".jsonlines": read_json_lines,
    ".json": read_json,
    ".txt": read_lines,
    **dict.fromkeys(SUFFIXES, read_conll),
}
BINARY_READERS: dict[str, Callable[[DataFile], Iterator[Row | BadRow]]] = {
    ".parquet": read_parquet,
    ".arrow": read_arrow,
    ".feather": read_arrow,
}
READERS = (*DELIMITERS, *TEXT_READERS, *BINARY_READERS)  # supported suffixes; text files may also be compressed
PLAIN = Dialect()


def is_data(name: str) -> bool:
    """Whether a file with this name has a supported suffix."""
    suffix, compression = split_suffix(name)
    return suffix in READERS and not (compression and suffix in BINARY_READERS)


def read(source: Path | DataFile, encoding: str | None = None, dialect: Dialect = PLAIN) -> Iterator[Row | BadRow]:
    """Reads one file, whose format is given by the dialect or its suffix; `encoding` defaults to the recorded one or UTF-8.

    Raises DataError for an unsupported suffix, a wrong encoding, or a file that cannot be read.
    """
    file = as_file(source)
    suffix, encoding, dialect, _ = _resolve(file, encoding, dialect)
    if suffix in DELIMITERS:
        rows = read_separated(file, encoding, dialect, DELIMITERS[suffix])
    else:
        rows = BINARY_READERS[suffix](file) if suffix in BINARY_READERS else TEXT_READERS[suffix](file, encoding)
    try:
        yield from rows
    except OSError as error:
        raise DataError(f"{file}: {error.strerror or error}") from None


def _resolve(file: DataFile, encoding: str | None, dialect: Dialect) -> tuple[str, str, Dialect, list[str]]:
    """The suffix of the format, the encoding, the dialect with only the records of this format, and remarks."""
    suffix = _format_suffix(file, dialect)
    if not dialect.recorded:
        return suffix, "utf-8" if encoding is None else encoding, dialect, []
    same_format = tuple(record for record in dialect.recorded if format_suffix(record) == suffix)
    dialect, remark = replace(dialect, recorded=same_format), ""
    if encoding is None:
        encoding, remark = recorded_encoding(file, same_format)
    return suffix, encoding, dialect, [remark] if remark else []


def _format_suffix(file: DataFile, dialect: Dialect) -> str:
    """The suffix of the format in which to read a file. Raises DataError, with advice, if it is not supported."""
    suffix, compression = split_suffix(file.file_name)
    suffix = f".{dialect.format}" if dialect.format is not None else recorded_suffix(suffix, dialect.recorded)
    if suffix not in READERS:
        if advice := conversion(file.file_name, suffix):
            raise DataError(f"{file}: {advice}")
        known = f"{listed(READERS, len(READERS))} (also with {listed(COMPRESSIONS)})"
        raise DataError(f"{file}: unknown suffix {suffix!r}; known: {known}; specify the format, such as format=csv")
    if compression and suffix in BINARY_READERS:
        raise DataError(f"{file}: {suffix[1:]} files are compressed internally; decompress this file first")
    return suffix


def describe(source: Path | DataFile, encoding: str | None = None, dialect: Dialect = PLAIN) -> tuple[SourceRecord, list[str]]:
    """How a file is read, and remarks on choices that the user may not want.

    Reads only the beginning of the file, unless its encoding has to be distinguished from UTF-8.
    """
    file = as_file(source)
    suffix, encoding, dialect, remarks = _resolve(file, encoding, dialect)
    record = SourceRecord(str(file), format=suffix[1:])
    if suffix in BINARY_READERS:
        return record, []
    record = replace(record, encoding=encoding)
    if suffix in DELIMITERS:
        with open_lines(file, encoding) as lines:
            layout = layout_of(lines, file, dialect, DELIMITERS[suffix])
        if layout is not None:
            record = replace(record, delimiter=layout.delimiter, quoting=layout.quoting, header=layout.header)
            remarks += layout.remarks(str(file))
    elif suffix == ".txt":
        with open_lines(file, encoding) as lines:
            sample = lines.peek(1000, 1 << 18)
        record = replace(record, format="fasttext" if is_fasttext(sample) else "txt")
        remarks += [f"{file}: {remark}" for remark in table_in_text(sample, USUAL_NAMES) if record.format == "txt"]
    return record, remarks
