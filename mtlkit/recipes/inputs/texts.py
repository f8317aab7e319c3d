"""The texts for `embed` and `predict`, as a stream: from arguments, standard input or a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from io import TextIOWrapper
from itertools import chain
from pathlib import Path
from typing import TextIO, TypeVar

from mtlkit.config.inference import TextOptions
from mtlkit.config.source_record import SourceRecord
from mtlkit.data.formats.beginning import check_beginning
from mtlkit.data.sources.grammar.spec import exists, parse_source
from mtlkit.data.sources.input_tables import input_tables
from mtlkit.data.sources.kept_columns import KeptRow
from mtlkit.data.sources.text_files import address_of, count_rows, input_record, read_column
from mtlkit.errors import DataError, MtlkitError, NoRowsError, UsageError
from mtlkit.inference.words import TextWithWords
from mtlkit.report.sources import source_line

Example = TypeVar("Example", str, tuple[str, str], TextWithWords, KeptRow)
Row = TypeVar("Row")
PART_TEXTS = 4096  # processed at a time: enough for batches of similar length, few enough that an interruption costs little
PART_LETTERS = 1 << 24
MOST_COUNTED = 100_000_000  # bytes of a file


def stream_texts(options: TextOptions, standard_input: TextIO, recorded: Sequence[SourceRecord] = ()) -> Iterator[str]:
    """Yields all texts, including blank ones, so that outputs correspond to rows. `recorded` says how the model's tasks read
    their data.

    Raises UsageError if there are no texts, or texts and an input; DataError.
    """
    check_one_place(options)
    if options.texts == ["-"] or options.input == ["-"]:
        return lines_of(standard_input, options.encoding or "utf-8")
    if options.input:
        return read_texts(options, recorded)
    if not options.texts:
        raise UsageError("no texts; give some as arguments, '-' for standard input, or a file with --input")
    for text in options.texts:
        check_typed(text)
    return iter(options.texts)


def check_one_place(options: TextOptions) -> None:
    """Raises UsageError if there are texts and an input."""
    if options.input and options.texts:
        pattern = "; put quotes around a pattern: --input 'data/*.csv'" if Path(options.texts[0]).is_file() else ""
        raise UsageError(f"texts and --input are given; use one of them{pattern}")
    if len(options.input) > 1 and reads_standard_input(options):
        raise UsageError("--input - is standard input, which cannot be one of several inputs; remove it or the others")


def of_all_tables(options: TextOptions, read: Callable[[str], Iterator[Example]]) -> Iterator[Example]:
    """What `read` yields for each table of `--input`. Of several, some may be without rows."""
    tables = input_tables(options.input)
    if len(tables) == 1:
        return read(tables[0].address)
    return chain.from_iterable(or_nothing(read, table.address) for table in tables)


def read_texts(options: TextOptions, recorded: Sequence[SourceRecord]) -> Iterator[str]:
    """The texts of all tables of `--input`."""
    return of_all_tables(options, lambda table: read_column(table, options.column, options.encoding, recorded))


def or_nothing(read: Callable[[str], Iterator[Row]], address: str) -> Iterator[Row]:
    """What `read` yields for a table; nothing for one without rows."""
    with suppress(NoRowsError):
        yield from read(address)


def check_typed(text: str) -> None:
    """Raises UsageError for bytes that are not UTF-8, which come from the shell as surrogates."""
    if not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
        raise UsageError(f"text {text!r} contains bytes that are not UTF-8; put it in a file and specify its --encoding")


def lines_of(standard_input: TextIO, encoding: str) -> Iterator[str]:
    """Yields a text per line, with any line ending: `\\n`, `\\r\\n` or `\\r`. Raises DataError."""
    lines = 0
    try:
        if isinstance(standard_input, TextIOWrapper):
            check_beginning(standard_input.buffer, "standard input", encoding)
            codec = "utf-8-sig" if encoding == "utf-8" else encoding
            standard_input.reconfigure(encoding=codec, errors="strict", newline=None)
        for line in standard_input:
            lines += 1
            yield line.rstrip("\n")
    except LookupError:
        raise DataError(f"encoding {encoding!r} is not known to Python; utf-8, latin-1, utf-16 are") from None
    except UnicodeError as error:
        if isinstance(error, UnicodeDecodeError):  # the reader decodes blocks, so it is ahead of the lines
            lines += error.object[: error.start].count(b"\n")
        hint = "specify the encoding, such as --encoding latin-1"
        raise DataError(f"standard input:{lines + 1}: not {encoding}; {hint}") from None


def count_texts(options: TextOptions) -> int | None:
    """The number of texts; None if it is not known in advance."""
    if reads_standard_input(options):
        return None
    if not options.input:
        return len(options.texts)
    counts = [count_rows(table.address) for table in input_tables(options.input)]
    return sum(count for count in counts if count is not None) if None not in counts else None


def count_by_reading(options: TextOptions, recorded: Sequence[SourceRecord] = ()) -> int | None:
    """The number of texts of `--input`, by reading it once more, which takes far less time than predictions. None for large
    files, what cannot be read twice, and files with an error, which is reported where it occurs.
    """
    if not options.input or options.texts or reads_standard_input(options):
        return None
    try:
        tables = input_tables(options.input)
        sizes = [table.size() if exists(table.name) else None for table in tables]
        if None in sizes or sum(size or 0 for size in sizes) > MOST_COUNTED:
            return None
        return sum(
            1 for _ in of_all_tables(options, lambda table: read_column(table, options.column, options.encoding, recorded))
        )
    except MtlkitError:
        return None


def input_notes(options: TextOptions, recorded: Sequence[SourceRecord] = ()) -> list[str]:
    """Messages on how `--input`, the first file of several, is read, if that does not follow from its suffix. `recorded` says how
    the model's tasks read their data.
    """
    if not options.input or options.texts or reads_standard_input(options):
        return []
    address = input_tables(options.input)[0].address
    record = input_record(address, options.column, options.encoding, recorded)
    usual = {"csv": ",", "tsv": "\t", "tab": "\t"}.get(record.format or "")
    decided = record.delimiter not in (None, usual) or record.header is False or record.format == "fasttext"
    decided = decided or record.encoding not in (None, "utf-8") or len(record.text) > 1 or bool(record.unused)
    return [*([source_line(record, address)] if decided else []), *record.remarks]


def reads_standard_input(options: TextOptions) -> bool:
    """Whether texts come from standard input."""
    return options.texts == ["-"] or any(parse_source(address_of(text))[0] == "-" for text in options.input)


def parts(texts: Iterator[Example], size: int | None = None) -> Iterator[list[Example]]:
    """Splits texts or pairs of texts into lists of `size`, by default PART_TEXTS, or fewer if they are long. The same texts
    always give the same lists."""
    size = PART_TEXTS if size is None else size
    part: list[Example] = []
    letters = 0
    for text in texts:
        part.append(text)
        letters += sum(map(len, text)) if isinstance(text, tuple) else len(text)
        if len(part) >= size or letters >= PART_LETTERS:
            yield part
            part, letters = [], 0
    if part:
        yield part
