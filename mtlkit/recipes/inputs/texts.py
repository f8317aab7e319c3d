"""The texts for `embed` and `predict`, as a stream: from arguments, standard input or a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO, TypeVar

from mtlkit.config.inference import TextOptions
from mtlkit.config.source_record import SourceRecord
from mtlkit.data.formats.beginning import check_beginning
from mtlkit.data.sources.grammar.spec import parse_source
from mtlkit.data.sources.text_files import count_rows, input_record, read_column
from mtlkit.errors import DataError, MtlkitError, UsageError
from mtlkit.inference.words import TextWithWords
from mtlkit.report.sources import source_line

Example = TypeVar("Example", str, tuple[str, str], TextWithWords)
PART_TEXTS = 4096  # processed at a time: enough for batches of similar length, few enough that an interruption costs little
PART_LETTERS = 1 << 24
MOST_COUNTED = 100_000_000  # bytes of a file


def stream_texts(options: TextOptions, standard_input: TextIO, recorded: Sequence[SourceRecord] = ()) -> Iterator[str]:
    """Yields all texts, including blank ones, so that outputs correspond to rows. `recorded` says how the model's tasks read
    their data.

    Raises UsageError if there are no texts, or texts and an input; DataError.
    """
    if options.input is not None and options.texts:
        raise UsageError("texts and --input are given; use one of them")
    if options.texts == ["-"] or str(options.input) == "-":
        return lines_of(standard_input, options.encoding or "utf-8")
    if options.input is not None:
        return read_column(options.input, options.column, options.encoding, recorded)
    if not options.texts:
        raise UsageError("no texts; give some as arguments, '-' for standard input, or a file with --input")
    for text in options.texts:
        check_typed(text)
    return iter(options.texts)


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
    return count_rows(options.input) if options.input is not None else len(options.texts)


def count_by_reading(options: TextOptions, recorded: Sequence[SourceRecord] = ()) -> int | None:
    """The number of texts of `--input`, by reading it once more, which takes far less time than predictions. None for large
    files, what cannot be read twice, and files with an error, which is reported where it occurs.
    """
    if options.input is None or options.texts or reads_standard_input(options):
        return None
    path = Path(parse_source(str(options.input))[0])
    if not path.is_file() or path.stat().st_size > MOST_COUNTED:
        return None
    try:
        return sum(1 for _ in read_column(options.input, options.column, options.encoding, recorded))
    except MtlkitError:
        return None


def input_notes(options: TextOptions, recorded: Sequence[SourceRecord] = ()) -> list[str]:
    """Messages on how `--input` is read, if that does not follow from its suffix. `recorded` says how the model's tasks read
    their data.
    """
    if options.input is None or options.texts or reads_standard_input(options):
        return []
    record = input_record(options.input, options.column, options.encoding, recorded)
    usual = {"csv": ",", "tsv": "\t", "tab": "\t"}.get(record.format or "")
    decided = record.delimiter not in (None, usual) or record.header is False or record.format == "fasttext"
    decided = decided or record.encoding not in (None, "utf-8") or len(record.text) > 1 or bool(record.unused)
    return [*([source_line(record, str(options.input))] if decided else []), *record.remarks]


def reads_standard_input(options: TextOptions) -> bool:
    """Whether texts come from standard input."""
    return options.texts == ["-"] or (options.input is not None and parse_source(str(options.input))[0] == "-")


def parts(texts: Iterator[Example], size: int = PART_TEXTS) -> Iterator[list[Example]]:
    """Splits texts or pairs of texts into lists of `size`, or fewer if they are long. The same texts always give the same
    lists."""
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
