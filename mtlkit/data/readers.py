"""Rows out of files: csv, tsv, jsonl, parquet, txt. One reader a format, each streaming.

A reader yields a dict a row, or a `BadRow` that says where and why; `good_rows` decides what becomes of those.
Local text files are read by the standard library: `datasets` takes NA for a missing value, guesses the types of labels
(1, 01 and 1.0 would be one class) and cannot name the line of a malformed row.
"""

from __future__ import annotations

import codecs
import csv
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from mtlkit.config.plain import parse_json
from mtlkit.data.parquet import PARQUET_ROWS, class_columns, class_names, parquet_file, repeated_names
from mtlkit.errors import DataError, listed

Row = dict[str, Any]
OnBadRow = Literal["error", "skip"]

LONGEST_FIELD = 2**31 - 1  # the csv module's own limit, 128 KiB, is shorter than a long document


class PlacedRow(dict[str, Any]):
    """A row of a file that knows where it stands: `data/train.csv:12`, by its line, or by its number in a parquet file."""

    __slots__ = ("number", "path")

    def __init__(self, values: Iterable[tuple[str, Any]] | Row, path: Path, number: int) -> None:
        super().__init__(values)
        self.path, self.number = path, number

    @property
    def place(self) -> str:
        return f"{self.path}:{self.number}"


def place_of(row: Row, source: str, number: int) -> str:
    """Where a row stands: its own place, else its number in the source."""
    return row.place if isinstance(row, PlacedRow) else f"{source}: row {number}"


@dataclass(frozen=True)
class BadRow:
    """A row that could not be read, and why, with its file and line."""

    reason: str


@dataclass
class Tally:
    """Rows that were skipped, with the reasons of the first few."""

    skipped: int = 0
    reasons: list[str] = field(default_factory=list)

    def add(self, reason: str) -> None:
        self.skipped += 1
        if len(self.reasons) < 3:
            self.reasons.append(reason)

    def __str__(self) -> str:
        rows = "1 row" if self.skipped == 1 else f"{self.skipped:,} rows"
        return f"{rows} skipped, such as {self.reasons[0]}" if self.skipped else "no row skipped"


def good_rows(rows: Iterable[Row | BadRow], on_bad_row: OnBadRow, tally: Tally) -> Iterator[Row]:
    """The readable rows. A bad one raises DataError, or is counted in `tally` under `skip`."""
    for row in rows:
        if isinstance(row, BadRow):
            if on_bad_row == "error":
                raise DataError(f"{row.reason}; mend it, or skip such rows with --on-bad-row skip")
            tally.add(row.reason)
        else:
            yield row


def read(path: Path, encoding: str = "utf-8") -> Iterator[Row | BadRow]:
    """Rows of one file, by its suffix. Raises DataError for a suffix or an encoding that does not fit."""
    try:
        reader = READERS[path.suffix.lower()]
    except KeyError:
        raise DataError(f"{path}: suffix {path.suffix!r} is not one of {listed(READERS)}") from None
    try:
        "".encode(encoding)  # more than a look-up: base64 is known, but no encoding of text
    except (LookupError, ValueError):  # of Python's encodings, `undefined` is there to fail
        raise DataError(f"{path}: encoding {encoding!r} is not known to Python; utf-8, latin-1, utf-16 are") from None
    try:
        yield from reader(path, "utf-8-sig" if codecs.lookup(encoding).name == "utf-8" else encoding)
    except UnicodeError:
        raise DataError(_undecodable(path, encoding)) from None
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from None


def _undecodable(path: Path, encoding: str) -> str:
    """Finds the first byte that is not of the encoding, without holding the file."""
    decoder = codecs.getincrementaldecoder(encoding)()
    offset, hint = 0, "latin-1"  # offset of what the decoder has not taken yet
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            if offset == 0 and piece[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
                hint = "utf-16"
            try:
                decoder.decode(piece)
            except UnicodeError as error:
                offset += getattr(error, "start", 0)
                break
            offset = file.tell() - len(decoder.getstate()[0])
    return f"{path}: byte {offset} is not {encoding}; say which encoding it is, such as --encoding {hint}"


def read_separated(path: Path, encoding: str, delimiter: str) -> Iterator[Row | BadRow]:
    """csv and tsv with a header. Every value stays the text that it is, also NA, 01 and null."""
    limit = csv.field_size_limit(LONGEST_FIELD)
    try:
        with path.open(encoding=encoding, newline="") as file:
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            try:
                header = next(reader, [])
            except csv.Error as error:
                raise DataError(f"{path}:1: {_broken(error)} in the header") from None
            if repeated := repeated_names(header):
                raise DataError(f"{path}:1: column {listed(repeated)} stands twice in the header")
            while True:
                line = reader.line_num + 1
                try:
                    fields = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    yield BadRow(f"{path}:{line}: {_broken(error)}")
                    continue
                if fields and len(fields) != len(header):
                    yield BadRow(f"{path}:{line}: {len(fields)} fields where the header has {len(header)}")
                elif fields:
                    yield PlacedRow(zip(header, fields, strict=True), path, line)
    finally:
        csv.field_size_limit(limit)


def _broken(error: csv.Error) -> str:
    return "a quote opened here is never closed" if "end of data" in str(error) else str(error)


def read_jsonl(path: Path, encoding: str) -> Iterator[Row | BadRow]:
    """One JSON object a line."""
    with path.open(encoding=encoding) as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                value = parse_json(line)
            except ValueError as error:
                yield BadRow(f"{path}:{number}: not JSON ({error})")
                continue
            if not isinstance(value, dict):
                yield BadRow(f"{path}:{number}: {type(value).__name__} where a JSON object belongs")
            elif not _is_text(value):
                yield BadRow(f"{path}:{number}: half a surrogate pair, which is no character, or nested too deeply")
            else:
                yield PlacedRow(value, path, number)


def _is_text(value: Row) -> bool:
    try:
        return bool(json.dumps(value, ensure_ascii=False).encode())
    except (UnicodeEncodeError, RecursionError):
        return False


def read_parquet(path: Path, _encoding: str) -> Iterator[Row | BadRow]:
    """A parquet file; label names that `datasets` stored in the schema come back as names."""
    with parquet_file(path) as file:
        names = class_columns(file.schema_arrow)
        parts = (part.to_pylist() for part in file.iter_batches(batch_size=PARQUET_ROWS))
        for number, row in enumerate(chain.from_iterable(parts), 1):
            try:
                named = {column: class_names(row[column], labels) for column, labels in names.items()}
            except ValueError as error:
                yield BadRow(f"{path}:{number}: {error}")
            else:
                yield PlacedRow(row | named, path, number)


def read_lines(path: Path, encoding: str) -> Iterator[Row | BadRow]:
    """A text a line."""
    with path.open(encoding=encoding) as file:
        for number, line in enumerate(file, 1):
            yield PlacedRow({"text": line.rstrip("\n")}, path, number)


READERS: dict[str, Callable[[Path, str], Iterator[Row | BadRow]]] = {
    ".csv": lambda path, encoding: read_separated(path, encoding, ","),
    ".tsv": lambda path, encoding: read_separated(path, encoding, "\t"),
    ".jsonl": read_jsonl,
    ".parquet": read_parquet,
    ".txt": read_lines,
}
