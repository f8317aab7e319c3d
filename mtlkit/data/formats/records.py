"""From lines to records of fields, with or without quotes.

Records with quotes are read by the `csv` module as long as it raises no error, and by `next_record` from there on: to the module,
a quote that is never closed takes the rest of the file, and a field longer than a limit that belongs to the whole process is bad.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain, islice, repeat
from operator import add
from typing import Any

from mtlkit.data.formats.text import LONGEST, NumberedLines

NO_QUOTES = "if '\"' is an ordinary character here, specify quoting=no"
UNCLOSED = f"a quote opened here is never closed; {NO_QUOTES}"
BLANKS = {"\t": "a tab", " ": "a space"}
TOO_LONG = f"a row of more than {LONGEST:,} characters"
BY_CSV = 8  # records read by the csv module where one is not simple; its readers cost something to make
END = "\n"  # of a file; no line is that
Record = tuple[int, list[str] | str]


def records(lines: NumberedLines, delimiter: str, quoting: bool) -> Iterator[Record]:
    """The line on which each record begins, with its fields, or with the reason why it is none. Blank lines are passed over.

    After a bad quote reading goes on at the next line, so that one quote costs one line.
    """
    return chain.from_iterable(_lots(lines, delimiter, quoting))


def _lots(lines: NumberedLines, delimiter: str, quoting: bool) -> Iterator[Iterator[Record]]:
    while lot := lines.take():
        if quoting and any('"' in line for line in lot if line):
            yield _quoted_records(lot, lines, delimiter)
        else:
            numbered = enumerate(lot, lines.number - len(lot) + 1)
            yield ((number, TOO_LONG if line is None else line.split(delimiter)) for number, line in numbered if line != "")


def next_record(lines: NumberedLines, delimiter: str, quoting: bool) -> Record | None:
    """The next of these records; None at the end."""
    while (line := next(lines, END)) != END:
        if line is None:
            return lines.number, TOO_LONG
        if line:
            return lines.number, _fields(line, lines, delimiter) if quoting and '"' in line else line.split(delimiter)
    return None


def _quoted_records(lot: list[Any], lines: NumberedLines, delimiter: str) -> Iterator[Record]:
    """The records that begin in a lot of lines, which were given last."""
    last = lines.number
    number = first = last - len(lot) + 1
    if delimiter != '"':  # which the module refuses from Python 3.13 on
        left = iter(lot)
        with suppress(csv.Error, TypeError):  # a TypeError where a line is None
            for line in left:
                if line and (fields := _simple_fields(line, delimiter)):
                    yield number, fields
                    number += 1
                    continue
                begun = number
                reader = csv.reader(map(add, chain((line,), left), repeat("\n")), delimiter=delimiter, strict=True)
                several = line and line.count('"') % 2  # lines to a record; then others will not be simple either
                for fields in reader if several else islice(reader, BY_CSV):
                    if fields:
                        yield number, fields
                    number = begun + reader.line_num
    lines.put_back(lot[number - first :])
    while lines.number < last and (record := next_record(lines, delimiter, quoting=True)):
        yield record


def _simple_fields(line: str, delimiter: str) -> list[str] | None:
    """The fields of a line of at most one field in quotes, or of nothing else, without quotes in them; None for other lines.

    For long texts this is several times faster than the csv module, which looks at one character after the other.
    """
    quotes = line.count('"')
    if not quotes:
        return line.split(delimiter)
    if quotes == 2:
        before, field, after = line.split('"')
        if before[-1:] in ("", delimiter) and after[:1] in ("", delimiter):
            return [*before.split(delimiter)[:-1], field, *after.split(delimiter)[1:]]
    elif line[0] == line[-1] == '"':
        fields = line[1:-1].split(f'"{delimiter}"')
        if quotes == 2 * len(fields):
            return fields
    return None


def _fields(line: str, lines: NumberedLines, delimiter: str) -> list[str] | str:
    """The fields of a record that holds quotes, which may go on over several lines; on an error only the first is taken."""
    taken: list[str | None] = []
    fields: list[str] = []
    at, length = 0, len(line)
    while True:
        if not line.startswith('"', at):
            end = line.find(delimiter, at)
            fields.append(line[at:] if end < 0 else line[at:end])
            if end < 0:
                return fields
            at = end + len(delimiter)
            continue
        pieces: list[str] = []
        start = at + 1
        while True:
            end = line.find('"', start)
            if end < 0:  # the field goes on in the next line
                pieces += [line[start:], "\n"]
                following = next(lines, END)
                if following != END:
                    taken.append(following)
                length += len(following or "")
                if following is None or following == END or length > LONGEST:
                    return _give_up(lines, taken, UNCLOSED)
                line, start = following, 0
            elif line.startswith('""', end):
                pieces.append(line[start : end + 1])
                start = end + 2
            else:
                pieces.append(line[start:end])
                break
        fields.append("".join(pieces))
        at = end + 1
        if at == len(line):
            return fields
        if not line.startswith(delimiter, at):
            return _give_up(lines, taken, _unexpected(delimiter, len(fields)))
        at += len(delimiter)


def _unexpected(delimiter: str, field: int) -> str:
    named = BLANKS.get(delimiter, f"'{delimiter}'")
    return f"{named} expected after the closing '\"' of field {field}; {NO_QUOTES}"


def _give_up(lines: NumberedLines, taken: list[str | None], reason: str) -> str:
    lines.put_back(taken)
    return reason
