"""The texts that `embed` and `predict` are given: arguments, standard input, or a file, as a stream."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TextIO

from mtlkit.config.inference import TextOptions
from mtlkit.data.columns import join_text, text_columns
from mtlkit.data.readers import Tally, good_rows, read
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
        return (line.rstrip("\n") for line in standard_input)
    return iter(options.texts)


def read_column(path: Path, column: str | None, encoding: str) -> Iterator[str]:
    """The texts of a file, in the order of its rows."""
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    columns: list[str] = []
    for number, row in enumerate(good_rows(read(path, encoding), "error", Tally()), 1):
        columns = columns or text_columns(list(row), column, str(path))
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
