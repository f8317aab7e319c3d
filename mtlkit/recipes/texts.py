"""The texts that `embed` and `predict` are given: arguments, standard input, or a file, as a stream."""

from __future__ import annotations

from collections.abc import Iterator
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import TextIO

from mtlkit.config.inference import TextOptions
from mtlkit.data.columns import join_text, text_columns
from mtlkit.data.readers import BadRow, read
from mtlkit.errors import DataError, UsageError

PART = 4096  # texts held at a time


def stream_texts(options: TextOptions, standard_input: TextIO) -> Iterator[str]:
    """Texts one by one, blank ones too, so that rows keep their places. Raises UsageError when none or two origins are given."""
    if options.input is not None and options.texts:
        raise UsageError("texts and --input are given; use one of them")
    if options.input is not None:
        return read_column(options.input, options.column, options.encoding)
    if not options.texts:
        raise UsageError("no texts; give some as arguments, '-' for standard input, or a file with --input")
    if options.texts == ["-"]:
        return lines_of(standard_input, options.encoding)
    for text in options.texts:  # bytes that are not UTF-8 come from the shell as surrogates
        if not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
            raise UsageError(f"text {text!r} holds bytes that are no letters here; put it in a file and say its --encoding")
    return iter(options.texts)


def lines_of(standard_input: TextIO, encoding: str) -> Iterator[str]:
    """A text a line."""
    lines = 0
    try:
        if isinstance(standard_input, TextIOWrapper):
            standard_input.reconfigure(encoding="utf-8-sig" if encoding == "utf-8" else encoding, errors="strict")
        for line in standard_input:
            lines += 1
            yield line.rstrip("\n")
    except LookupError:
        raise DataError(f"encoding {encoding!r} is not known to Python; utf-8, latin-1, utf-16 are") from None
    except UnicodeError:
        hint = "say which encoding it is, such as --encoding latin-1"
        raise DataError(f"standard input, after line {lines}: not {encoding}; {hint}") from None


def read_column(path: Path, column: str | None, encoding: str) -> Iterator[str]:
    """The texts of a file, in the order of its rows."""
    if not path.is_file():
        raise DataError(f"{path}: {'a folder; name a file' if path.is_dir() else 'no such file'}")
    columns: list[str] = []
    for number, row in enumerate(read(path, encoding), 1):
        if isinstance(row, BadRow):  # never skipped, so that rows keep their places
            raise DataError(row.reason)
        columns = columns or text_columns(list(row), column, str(path), "say --column NAME")
        text = join_text(row, columns)
        if text is None:
            raise DataError(f"{path}: row {number} has no text in column '{'+'.join(columns)}'")
        yield text
    if not columns:
        raise DataError(f"{path}: no rows; give a file with a header and rows")


def parts(texts: Iterator[str], size: int = PART) -> Iterator[list[str]]:
    """Lists of at most `size` texts."""
    while part := list(islice(texts, size)):
        yield part
