"""Detects the layout of a delimited file: delimiter, quoting, and whether the first row is a header."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice

from mtlkit.config.source_record import SourceRecord
from mtlkit.data.formats.files import DataFile
from mtlkit.data.formats.one_column import several_in_one
from mtlkit.data.formats.records import next_record, records
from mtlkit.data.formats.text import NumberedLines
from mtlkit.data.sources.columns import LABEL_NAMES, TEXT_NAMES
from mtlkit.data.sources.pair_columns import PAIR_NAMES
from mtlkit.data.sources.parquet import repeated_names
from mtlkit.errors import DataError, listed

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}
USUAL_NAMES = {*TEXT_NAMES, *LABEL_NAMES, *(name for pair in PAIR_NAMES for name in pair), "id", "index"}
SAMPLE_LINES, SAMPLE_CHARACTERS = 1000, 1 << 18
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
SEPARATOR_LINE = re.compile(r'"?sep=(.)"?', re.IGNORECASE)


@dataclass(frozen=True)
class Dialect:
    """Options of the user for reading a file; None means: detect.

    `format` overrides the suffix; `delimiter`, `quoting` and `header` apply to delimited text. `recorded` is how a model's
    training data was read; it is the default for files of the same format.
    """

    format: str | None = None
    delimiter: str | None = None
    quoting: bool | None = None
    header: bool | None = None
    recorded: tuple[SourceRecord, ...] = ()


@dataclass(frozen=True)
class TableLayout:
    """The detected layout.

    `columns` are the names of the fields with the indices `named`, out of `width` fields per row; the other fields have no name.
    `warnings` describe what might have been intended differently.
    """

    delimiter: str
    quoting: bool
    header: bool
    columns: tuple[str, ...]
    named: tuple[int, ...]
    width: int
    warnings: tuple[str, ...] = ()

    def remarks(self, file: str) -> list[str]:
        """Notes for the user about this layout."""
        unnamed = self.width - len(self.named)
        notes = [f"{file}: ignored {unnamed} {'column' if unnamed == 1 else 'columns'} without a name"] if unnamed else []
        return notes + [f"{file}: {warning}" for warning in self.warnings]


def find_layout(lines: NumberedLines, file: DataFile, dialect: Dialect, default: str) -> TableLayout | None:
    """Detects the layout from the first lines and consumes those before the first row; None for a file without lines.

    Raises DataError, with what to specify, if the layout is ambiguous.
    """
    sample = lines.peek(SAMPLE_LINES, SAMPLE_CHARACTERS)
    cut = is_cut(sample)
    declared = SEPARATOR_LINE.fullmatch(sample[0]) if sample and sample[0] else None
    if declared:
        next(lines)
        del sample[0]
    quoting = dialect.quoting if dialect.quoting is not None else default != "\t"
    delimiter = dialect.delimiter or (declared[1] if declared else _detect_delimiter(sample, file, default, quoting, cut))
    record = next_record(lines if dialect.header is not False else NumberedLines([sample]), delimiter, quoting)
    if record is None:
        return None
    number, first = record
    if isinstance(first, str):
        raise DataError(f"{file}:{number}: header: {first}")
    warnings = () if quoting or dialect.quoting is False else tuple(_quoted_cells(sample, delimiter))
    if len(first) == 1 and dialect.delimiter is None:
        warnings += tuple(several_in_one(sample))
    if dialect.header is False:
        names = tuple(str(index + 1) for index in range(len(first)))
        return TableLayout(delimiter, quoting, False, names, tuple(range(len(first))), len(first), warnings)
    if len(first) == 1 and dialect.header is None:
        _check_title(first[0], sample, f"{file}:{number}", dialect, quoting)
    _check_header(first, _rows(sample, delimiter, quoting), f"{file}:{number}", dialect, quoting)
    if _end_in_delimiters(_rows(sample, delimiter, quoting), len(first)):
        first = [*first, ""]  # every row ends in a delimiter, but the header does not
    named = tuple(index for index, name in enumerate(first) if name.strip())
    names = tuple(first[index] for index in named)
    if repeated := repeated_names(names):
        raise DataError(f"{file}:{number}: column {listed(repeated)} appears twice in the header")
    return TableLayout(delimiter, quoting, True, names, named, len(first), warnings)


def is_cut(sample: list[str | None]) -> bool:
    """Whether the file may continue after the sample."""
    return len(sample) >= SAMPLE_LINES or sum(len(line or "") for line in sample) >= SAMPLE_CHARACTERS


def _rows(sample: list[str | None], delimiter: str, quoting: bool) -> Iterator[list[str]]:
    """The valid rows after the first, as an iterator: often one is enough."""
    valid = (fields for _, fields in records(NumberedLines([sample]), delimiter, quoting) if isinstance(fields, list))
    return islice(valid, 1, None)


def _end_in_delimiters(rows: Iterator[list[str]], width: int) -> bool:
    """Whether there are rows, and all have one more field than the header, which is empty."""
    first = next(rows, None)
    return first is not None and all(len(row) == width + 1 and not row[-1] for row in chain([first], rows))


def _detect_delimiter(sample: list[str | None], file: DataFile, default: str, quoting: bool, cut: bool) -> str:
    """The delimiter that occurs in the header and fits all rows of the sample. Raises DataError if several or none do."""
    header = next((line for line in sample if line), "") or ""
    bare = re.sub(r'"[^"]*"', "", header) if quoting else header
    candidates = [delimiter for delimiter in dict.fromkeys((default, *DELIMITERS)) if delimiter in bare]
    if candidates in ([], [default]):
        return default
    fitting = [delimiter for delimiter in candidates if fits(sample, delimiter, quoting, cut)]
    if len(fitting) == 1:
        return fitting[0]
    if not fitting and default in candidates:
        return default
    options = " or ".join(f"delimiter={DELIMITERS[mark]}" for mark in fitting or (*candidates, default))
    names = " or ".join(DELIMITERS[mark] for mark in fitting or candidates)
    problem = f"{names} could each separate the columns" if fitting else f"{names} in the header does not split every row"
    raise DataError(f"{file}:1: ambiguous delimiter: {problem}; specify {options}")


def fits(sample: list[str | None], delimiter: str, quoting: bool, cut: bool) -> bool:
    """Whether all records have as many fields as the first. `cut`: ignore a quote that is still open at the end of the sample."""
    rows = [fields for _, fields in records(NumberedLines([sample]), delimiter, quoting)]
    if cut:
        rows = [fields for fields in rows if isinstance(fields, list)]
    return all(isinstance(fields, list) and len(fields) in (len(rows[0]), len(rows[0]) + (not fields[-1])) for fields in rows)


def _check_header(first: list[str], rows: Iterable[list[str]], location: str, dialect: Dialect, quoting: bool) -> None:
    """Raises DataError if the first row is not a header, or if it is unclear whether it is one."""
    if "\0" in "".join(first):
        raise DataError(f"{location}: NUL characters in the header; if the file is UTF-16, specify encoding=utf-16-le")
    if dialect.quoting is None and not quoting and all(len(name) > 1 and name[0] == name[-1] == '"' for name in first):
        raise DataError(
            f"{location}: the header is quoted; specify quoting=yes, or quoting=no if the quotes are part of the names"
        )
    if dialect.header is None and (evidence := _data_in_header(first, rows)):
        advice = "specify header=no (columns are then named 1, 2, ...) or header=yes"
        raise DataError(f"{location}: the first row looks like data, not like column names ({evidence}); {advice}")


def _check_title(title: str, sample: list[str | None], location: str, dialect: Dialect, quoting: bool) -> None:
    """Raises DataError if the first line has one field, and all lines below have the same larger number."""
    below = [line for line in sample if line != ""][1:]
    for delimiter in [dialect.delimiter] if dialect.delimiter else DELIMITERS:
        if len(below) > 1 and delimiter in (below[0] or "") and fits(below, delimiter, quoting, is_cut(sample)):
            _, fields = next(records(NumberedLines([below[:1]]), delimiter, quoting))
            if isinstance(fields, list) and len(fields) > 1:
                mark = DELIMITERS.get(delimiter, delimiter)
                shape = f"has one field, but the lines below have {len(fields)}, separated by {mark}"
                advice = "remove lines before the header, or specify header=yes if it is the header"
                raise DataError(f"{location}: the first line, '{title[:60]}', {shape}; {advice}")


def _data_in_header(first: list[str], rows: Iterable[list[str]]) -> str:
    """Why the first row is probably not a header; an empty string if it may be one."""
    if any(name.strip().lower() in USUAL_NAMES for name in first) or first == [*map(str, range(len(first)))]:
        return ""
    if len(first) == 1:
        return f"'{first[0][:60]}' is a sentence" if len(first[0].split()) > 3 or first[0].rstrip()[-1:] in (*"!?.",) else ""
    data_rows = [row for row in rows if len(row) == len(first) and row != first]
    for index, name in enumerate(first):
        column = [row[index] for row in data_rows]
        if NUMBER.fullmatch(name) and column and all(NUMBER.fullmatch(value) for value in column):
            return f"'{name}' is a number, like the rest of its column"
        if name.strip() and column.count(name) > 1:
            return f"'{name[:60]}' also occurs further down in its column"
    return "every field is a sentence" if all(len(name.split()) > 3 for name in first) else ""


def _quoted_cells(sample: list[str | None], delimiter: str) -> Iterator[str]:
    """Yields a warning if fields look quoted although quoting is off."""
    for line in sample:
        for cell in line.split(delimiter) if line and '""' in line else ():
            if len(cell) > 1 and cell[0] == cell[-1] == '"' and '""' in cell[1:-1] and '"' not in cell[1:-1].replace('""', ""):
                yield "some fields look quoted but are read literally; specify quoting=yes to remove the quotes"
                return
