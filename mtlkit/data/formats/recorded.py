"""Reads a file the way a model's training data was read, unless that does not fit the file."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from dataclasses import replace

from mtlkit.config.source_record import SourceRecord
from mtlkit.data.formats.dialect import (
    DELIMITERS,
    SAMPLE_CHARACTERS,
    SAMPLE_LINES,
    SEPARATOR_LINE,
    USUAL_NAMES,
    Dialect,
    TableLayout,
    find_layout,
    fits,
    is_cut,
)
from mtlkit.data.formats.files import DataFile, open_bytes, split_suffix
from mtlkit.data.formats.text import NumberedLines
from mtlkit.errors import DataError

PIECE = 1 << 20  # bytes read at a time
Sample = list[str | None]
Rank = tuple[int, bool]


def recorded_suffix(suffix: str, recorded: Sequence[SourceRecord]) -> str:
    """The suffix of the format in which recorded files with this suffix were read; the suffix itself if there are none."""
    formats = {format_suffix(record) for record in recorded if record.format and suffix in _suffixes(record)}
    return formats.pop() if len(formats) == 1 else suffix


def format_suffix(record: SourceRecord) -> str:
    """The file suffix for the format of a record."""
    return ".txt" if record.format == "fasttext" else f".{record.format}"


def _suffixes(record: SourceRecord) -> set[str]:
    return {split_suffix(name)[0] for files in record.files.values() for name in files}


def recorded_encoding(file: DataFile, recorded: Sequence[SourceRecord]) -> tuple[str, str]:
    """The recorded encoding, or UTF-8 with a note if the file is in UTF-8.

    Valid UTF-8 is almost never anything else, while Latin-1 decodes any bytes, including UTF-8, to wrong letters.
    """
    names = dict.fromkeys(record.encoding for record in recorded if record.encoding)
    others = [name for name in names if not _is_utf8_name(name)]
    if len(others) != 1:
        return "utf-8", ""
    (encoding,) = others
    if not _holds_utf8(file, encoding):
        return encoding, ""
    return "utf-8", f"{file}: read as utf-8, although the model's training data was {encoding}"


def _is_utf8_name(encoding: str) -> bool:
    try:
        return codecs.lookup(encoding).name in ("utf-8", "utf-8-sig", "ascii")
    except LookupError:  # reported when the file is read
        return False


def _holds_utf8(file: DataFile, encoding: str) -> bool:
    """Whether a file is valid UTF-8 and would decode to a different text in this encoding."""
    decoder, plain = codecs.getincrementaldecoder("utf-8")(), True
    with open_bytes(file) as content:
        while piece := content.read(PIECE):
            if b"\0" in piece:
                return False
            plain = plain and piece.isascii()
            try:
                decoder.decode(piece)
            except UnicodeDecodeError:
                return False
        try:
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    try:
        return not plain or "a".encode(encoding) != b"a"
    except (LookupError, ValueError):
        return False


def layout_of(lines: NumberedLines, file: DataFile, dialect: Dialect, default: str) -> TableLayout | None:
    """The layout of a file: as recorded if that finds at least as many of the model's columns, else as detected.

    In the second case the layout has a warning with the differences. Raises DataError as `find_layout` does.
    """
    records = [record for record in dialect.recorded if record.delimiter is not None]
    if not records:
        return find_layout(lines, file, dialect, default)
    sample = lines.peek(SAMPLE_LINES, SAMPLE_CHARACTERS)
    names = {name for record in records for name in _columns(record)}
    failure: DataError | None = None
    detected: TableLayout | None = None
    try:
        detected = find_layout(NumberedLines([sample]), file, dialect, default)
    except DataError as error:
        failure = error
    if failure is None and detected is None:
        return None
    required: Rank = (1, False) if detected is None else max((1, False), _rank(detected, sample, names))
    for record in records:
        recorded = _as_recorded(dialect, record)
        if (layout := _try(sample, file, recorded, default)) and _rank(layout, sample, names) >= required:
            _check_first_row(detected, recorded, dialect, file)
            return find_layout(lines, file, recorded, default)
    if failure:
        raise failure
    layout = find_layout(lines, file, dialect, default)
    assert layout is not None
    differences = list(_differences(layout, records[0], dialect))
    if not differences or len(records) > 1:
        return layout
    warning = f"layout differs from the model's training data; read with {', '.join(differences)}"
    return replace(layout, warnings=(*layout.warnings, warning))


def _columns(record: SourceRecord) -> Iterator[str]:
    yield from (*record.text, *record.label, *record.unused)
    yield from (name for name in (record.first, record.second, record.tokens, record.tags, record.spans) if name)


def _as_recorded(dialect: Dialect, record: SourceRecord) -> Dialect:
    """The user's options, completed from the record."""
    return replace(
        dialect,
        delimiter=dialect.delimiter or record.delimiter,
        quoting=record.quoting if dialect.quoting is None else dialect.quoting,
        header=record.header if dialect.header is None else dialect.header,
    )


def _try(sample: Sample, file: DataFile, dialect: Dialect, default: str) -> TableLayout | None:
    try:
        return find_layout(NumberedLines([sample]), file, dialect, default)
    except DataError:
        return None


def _rank(layout: TableLayout, sample: Sample, names: set[str]) -> Rank:
    """How many of the model's columns the layout finds, and whether all rows fit it."""
    rows = sample[1:] if sample and sample[0] and SEPARATOR_LINE.fullmatch(sample[0]) else sample
    return len(names.intersection(layout.columns)), fits(rows, layout.delimiter, layout.quoting, is_cut(sample))


def _check_first_row(detected: TableLayout | None, recorded: Dialect, user: Dialect, file: DataFile) -> None:
    """Raises DataError if the first row looks like a header but would be read as data, because the model's data had none."""
    if recorded.header is not False or user.header is False or detected is None or not detected.header:
        return
    if name := next((name for name in detected.columns if name.strip().lower() in USUAL_NAMES), None):
        raise DataError(
            f"{file}:1: the first row looks like column names ('{name}'), but the model's training data had no header; "
            "specify header=yes or header=no"
        )


def _differences(layout: TableLayout, record: SourceRecord, user: Dialect) -> Iterator[str]:
    """The differences of a layout from the record, except those that the user specified."""
    if layout.delimiter != record.delimiter and user.delimiter is None:
        expected = DELIMITERS.get(record.delimiter or "", repr(record.delimiter))
        yield f"delimiter {DELIMITERS.get(layout.delimiter, repr(layout.delimiter))}, not {expected}"
    if layout.quoting != record.quoting and user.quoting is None:
        yield "quoting" if layout.quoting else "no quoting"
    if layout.header != record.header and user.header is None:
        yield "a header" if layout.header else "no header"
