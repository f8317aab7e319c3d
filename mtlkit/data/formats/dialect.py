"""How a delimited file is written: its delimiter, whether fields are quoted, and whether the first row names the columns."""

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
    """What the user said of a file; None is found by looking. `format` overrules the suffix; the rest is for delimited text.
    `recorded` says how the data of a model was read: files like it are read alike where the user says nothing."""

    format: str | None = None
    delimiter: str | None = None
    quoting: bool | None = None
    header: bool | None = None
    recorded: tuple[SourceRecord, ...] = ()


@dataclass(frozen=True)
class TableLayout:
    """What was found. `columns` are the names of the fields `kept`, out of `width`; the others have no name.
    `warnings` say what looks as if it were meant otherwise."""

    delimiter: str
    quoting: bool
    header: bool
    columns: tuple[str, ...]
    kept: tuple[int, ...]
    width: int
    warnings: tuple[str, ...] = ()

    def remarks(self, file: str) -> list[str]:
        """What the user should know of this choice."""
        unnamed = self.width - len(self.kept)
        left_out = [f"{file}: {unnamed} {'column' if unnamed == 1 else 'columns'} without a name left out"] if unnamed else []
        return left_out + [f"{file}: {warning}" for warning in self.warnings]


def find_layout(lines: NumberedLines, file: DataFile, dialect: Dialect, default: str) -> TableLayout | None:
    """Looks at the first lines, and takes those that are no rows; None for a file without any. Raises DataError where a file
    can be read in two ways, with what to specify."""
    sample = lines.peek(SAMPLE_LINES, SAMPLE_CHARACTERS)
    cut = is_cut(sample)
    declared = SEPARATOR_LINE.fullmatch(sample[0]) if sample and sample[0] else None
    if declared:
        next(lines)
        del sample[0]
    quoting = dialect.quoting if dialect.quoting is not None else default != "\t"
    found = declared[1] if declared else default
    delimiter = dialect.delimiter or (found if declared else _find_delimiter(sample, file, default, quoting, cut))
    record = next_record(lines if dialect.header is not False else NumberedLines([sample]), delimiter, quoting)
    if record is None:
        return None
    number, first = record
    if isinstance(first, str):
        raise DataError(f"{file}:{number}: in the header, {first}")
    warnings = () if quoting or dialect.quoting is False else tuple(_quoted_cells(sample, delimiter))
    if len(first) == 1 and dialect.delimiter is None:
        warnings += tuple(several_in_one(sample))
    if dialect.header is False:
        names = tuple(str(place + 1) for place in range(len(first)))
        return TableLayout(delimiter, quoting, False, names, tuple(range(len(first))), len(first), warnings)
    if len(first) == 1 and dialect.header is None:
        _check_title(first[0], sample, f"{file}:{number}", dialect, quoting)
    _check_header(first, _rows(sample, delimiter, quoting), f"{file}:{number}", dialect, quoting)
    if _end_in_delimiters(_rows(sample, delimiter, quoting), len(first)):
        first = [*first, ""]  # every row ends in a delimiter, and the header does not
    kept = tuple(place for place, name in enumerate(first) if name.strip())
    names = tuple(first[place] for place in kept)
    if repeated := repeated_names(names):
        raise DataError(f"{file}:{number}: column {listed(repeated)} appears twice in the header")
    return TableLayout(delimiter, quoting, True, names, kept, len(first), warnings)


def is_cut(sample: list[str | None]) -> bool:
    """Whether a file may go on after its first lines."""
    return len(sample) >= SAMPLE_LINES or sum(len(line or "") for line in sample) >= SAMPLE_CHARACTERS


def _rows(sample: list[str | None], delimiter: str, quoting: bool) -> Iterator[list[str]]:
    """The good rows after the first; as a stream, since often one is enough to look at."""
    good = (fields for _, fields in records(NumberedLines([sample]), delimiter, quoting) if isinstance(fields, list))
    return islice(good, 1, None)


def _end_in_delimiters(rows: Iterator[list[str]], width: int) -> bool:
    """Whether there are rows, and all have an empty field more than the header."""
    first = next(rows, None)
    return first is not None and all(len(row) == width + 1 and not row[-1] for row in chain([first], rows))


def _find_delimiter(sample: list[str | None], file: DataFile, default: str, quoting: bool, cut: bool) -> str:
    """The delimiter that the header has and that fits all rows of the sample. Raises DataError where several do, or none."""
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
    ways = " or ".join(f"delimiter={DELIMITERS[one]}" for one in fitting or (*candidates, default))
    seen = " or ".join(f"'{DELIMITERS[one]}'" for one in fitting or candidates)
    said = "and so can every row" if fitting else "but not every row"
    raise DataError(f"{file}:1: the header can be split by {seen}, {said}; specify {ways}")


def fits(sample: list[str | None], delimiter: str, quoting: bool, cut: bool) -> bool:
    """Whether all records have as many fields as the first; a quote left open where the sample ends counts for nothing."""
    found = [fields for _, fields in records(NumberedLines([sample]), delimiter, quoting)]
    if cut:
        found = [fields for fields in found if isinstance(fields, list)]
    return all(isinstance(fields, list) and len(fields) in (len(found[0]), len(found[0]) + (not fields[-1])) for fields in found)


def _check_header(first: list[str], rows: Iterable[list[str]], place: str, dialect: Dialect, quoting: bool) -> None:
    """Raises DataError where the first row is no header, or says in two ways what it is."""
    if "\0" in "".join(first):
        raise DataError(f"{place}: NUL characters in the header; if the file is UTF-16, specify encoding=utf-16-le")
    if dialect.quoting is None and not quoting and all(len(name) > 1 and name[0] == name[-1] == '"' for name in first):
        raise DataError(f"{place}: the header is quoted; specify quoting=yes, or quoting=no where the quotes belong to the names")
    if dialect.header is None and (evidence := _data_in_header(first, rows)):
        way = "specify header=no, which calls the columns 1, 2, ...; or header=yes"
        raise DataError(f"{place}: the first row looks like data, not like column names ({evidence}); {way}")


def _check_title(title: str, sample: list[str | None], place: str, dialect: Dialect, quoting: bool) -> None:
    """Raises DataError where the first line has one field, and those below it all have as many more."""
    below = [line for line in sample if line != ""][1:]
    for delimiter in [dialect.delimiter] if dialect.delimiter else DELIMITERS:
        if len(below) > 1 and delimiter in (below[0] or "") and fits(below, delimiter, quoting, is_cut(sample)):
            _, fields = next(records(NumberedLines([below[:1]]), delimiter, quoting))
            if isinstance(fields, list) and len(fields) > 1:
                found = f"the first line, '{title[:60]}', has one field, and those below have {len(fields)}"
                way = "remove lines before the header, or specify header=yes if it is the header"
                raise DataError(f"{place}: {found}, separated by {DELIMITERS.get(delimiter, delimiter)}; {way}")


def _data_in_header(first: list[str], rows: Iterable[list[str]]) -> str:
    """Why the first row cannot be a header; nothing where it can be one."""
    if any(name.strip().lower() in USUAL_NAMES for name in first) or first == [*map(str, range(len(first)))]:
        return ""
    if len(first) == 1:
        return f"'{first[0][:60]}' is a sentence" if len(first[0].split()) > 3 or first[0].rstrip()[-1:] in (*"!?.",) else ""
    same = [row for row in rows if len(row) == len(first) and row != first]
    for place, name in enumerate(first):
        column = [row[place] for row in same]
        if NUMBER.fullmatch(name) and column and all(NUMBER.fullmatch(value) for value in column):
            return f"'{name}' is a number, as all of its column"
        if name.strip() and column.count(name) > 1:
            return f"'{name[:60]}' is a value of its column, too"
    return "every field is a sentence" if all(len(name.split()) > 3 for name in first) else ""


def _quoted_cells(sample: list[str | None], delimiter: str) -> Iterator[str]:
    """What to tell where fields look quoted and are not read so."""
    for line in sample:
        for cell in line.split(delimiter) if line and '""' in line else ():
            if len(cell) > 1 and cell[0] == cell[-1] == '"' and '""' in cell[1:-1] and '"' not in cell[1:-1].replace('""', ""):
                yield "some fields look quoted; they are read as they are, unless quoting=yes is specified"
                return
