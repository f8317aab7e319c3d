"""How a file is read where a model's data was read before: the same way, unless that does not fit the file."""

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
    """The suffix of the format that files of this suffix were read in; the suffix itself where there was none."""
    formats = {format_suffix(record) for record in recorded if record.format and suffix in _suffixes(record)}
    return formats.pop() if len(formats) == 1 else suffix


def format_suffix(record: SourceRecord) -> str:
    """The suffix that stands for the format of a record."""
    return ".txt" if record.format == "fasttext" else f".{record.format}"


def _suffixes(record: SourceRecord) -> set[str]:
    return {split_suffix(name)[0] for files in record.files.values() for name in files}


def recorded_encoding(file: DataFile, recorded: Sequence[SourceRecord]) -> tuple[str, str]:
    """The encoding of files like this one, and what to say where the file is in UTF-8 instead.

    Bytes that are UTF-8 are hardly ever anything else, while Latin-1 reads any bytes, UTF-8 too, as other letters.
    """
    names = dict.fromkeys(record.encoding for record in recorded if record.encoding)
    others = [name for name in names if not _is_utf8_name(name)]
    if len(others) != 1:
        return "utf-8", ""
    (encoding,) = others
    if not _holds_utf8(file, encoding):
        return encoding, ""
    return "utf-8", f"{file}: UTF-8, while the data of the model was {encoding}; read as utf-8"


def _is_utf8_name(encoding: str) -> bool:
    try:
        return codecs.lookup(encoding).name in ("utf-8", "utf-8-sig", "ascii")
    except LookupError:  # which reading refuses
        return False


def _holds_utf8(file: DataFile, encoding: str) -> bool:
    """Whether a file is UTF-8 and would be read as another text in this encoding."""
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
    """How a file is written: as the data of the model, where its columns are found so, else as looking at it tells, which the
    warnings of the layout then say. Raises DataError."""
    records = [record for record in dialect.recorded if record.delimiter is not None]
    if not records:
        return find_layout(lines, file, dialect, default)
    sample = lines.peek(SAMPLE_LINES, SAMPLE_CHARACTERS)
    names = {name for record in records for name in _columns(record)}
    fault: DataError | None = None
    found: TableLayout | None = None
    try:
        found = find_layout(NumberedLines([sample]), file, dialect, default)
    except DataError as error:
        fault = error
    if fault is None and found is None:
        return None
    least: Rank = (1, False) if found is None else max((1, False), _rank(found, sample, names))
    for record in records:
        asked = _as_recorded(dialect, record)
        if (layout := _try(sample, file, asked, default)) and _rank(layout, sample, names) >= least:
            _check_first_row(found, asked, dialect, file)
            return find_layout(lines, file, asked, default)
    if fault:
        raise fault
    layout = find_layout(lines, file, dialect, default)
    assert layout is not None
    differences = list(_differences(layout, records[0], dialect))
    if not differences or len(records) > 1:
        return layout
    said = f"not written as the data of the model was; read with {', '.join(differences)}"
    return replace(layout, warnings=(*layout.warnings, said))


def _columns(record: SourceRecord) -> Iterator[str]:
    yield from (*record.text, *record.label, *record.unused)
    yield from (name for name in (record.first, record.second) if name)


def _as_recorded(dialect: Dialect, record: SourceRecord) -> Dialect:
    """What the user said, and the rest as it was recorded."""
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
    """How many of the columns there are, and whether all rows fit."""
    rows = sample[1:] if sample and sample[0] and SEPARATOR_LINE.fullmatch(sample[0]) else sample
    return len(names.intersection(layout.columns)), fits(rows, layout.delimiter, layout.quoting, is_cut(sample))


def _check_first_row(found: TableLayout | None, asked: Dialect, said: Dialect, file: DataFile) -> None:
    """Raises DataError where the first row would be read as data, as the model's data had no header, and looks like one."""
    if asked.header is not False or said.header is False or found is None or not found.header:
        return
    if name := next((name for name in found.columns if name.strip().lower() in USUAL_NAMES), None):
        raise DataError(
            f"{file}:1: the first row looks like column names ('{name}'), and the data of the model had none; "
            "specify header=yes or header=no"
        )


def _differences(layout: TableLayout, record: SourceRecord, said: Dialect) -> Iterator[str]:
    """What of a layout is not as it was recorded, nor said by the user."""
    if layout.delimiter != record.delimiter and said.delimiter is None:
        was = DELIMITERS.get(record.delimiter or "", repr(record.delimiter))
        yield f"delimiter {DELIMITERS.get(layout.delimiter, repr(layout.delimiter))}, not {was}"
    if layout.quoting != record.quoting and said.quoting is None:
        yield "quoting" if layout.quoting else "no quoting"
    if layout.header != record.header and said.header is None:
        yield "a header" if layout.header else "no header"
