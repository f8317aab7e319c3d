"""Splits lines into records of fields, with or without quotes.

Records with quotes are read by the `csv` module until it raises an error, and by `next_record` from there on: the module would
read to the end of the file after an unclosed quote, and its limit on the length of a field is global to the process.
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
TOO_LONG = f"row longer than {LONGEST:,} characters"
BY_CSV = 8  # records to read by the csv module after one that is not simple: creating a csv reader has a cost
END = "\n"  # marks the end of the file; no line is equal to it
Record = tuple[int, list[str] | str]


def records(lines: NumberedLines, delimiter: str, quoting: bool) -> Iterator[Record]:
    """For each record, the number of its first line, with its fields or the reason why it is invalid. Empty lines are skipped.

    After an invalid quote reading continues at the next line, so that one quote costs one line.
    """
    return chain.from_iterable(_chunks(lines, delimiter, quoting))


def _chunks(lines: NumberedLines, delimiter: str, quoting: bool) -> Iterator[Iterator[Record]]:
    while chunk := lines.take():
        if quoting and any('"' in line for line in chunk if line):
            yield _quoted_records(chunk, lines, delimiter)
        else:
            numbered = enumerate(chunk, lines.number - len(chunk) + 1)
            yield ((number, TOO_LONG if line is None else line.split(delimiter)) for number, line in numbered if line != "")


def next_record(lines: NumberedLines, delimiter: str, quoting: bool) -> Record | None:
    """The next record; None at the end."""
    while (line := next(lines, END)) != END:
        if line is None:
            return lines.number, TOO_LONG
        if line:
            return lines.number, _fields(line, lines, delimiter) if quoting and '"' in line else line.split(delimiter)
    return None


def _quoted_records(chunk: list[Any], lines: NumberedLines, delimiter: str) -> Iterator[Record]:
    """The records that start in this chunk of lines, the last one taken from `lines`."""
    last = lines.number
    number = first = last - len(chunk) + 1
    if delimiter != '"':  # an error in the csv module from Python 3.13 on
        remaining = iter(chunk)
        with suppress(csv.Error, TypeError):  # TypeError: a line is None
            for line in remaining:
                if line and (fields := _simple_fields(line, delimiter)):
                    yield number, fields
                    number += 1
                    continue
                start = number
                reader = csv.reader(map(add, chain((line,), remaining), repeat("\n")), delimiter=delimiter, strict=True)
                multiline = line and line.count('"') % 2  # then the following records are probably not simple either
                for fields in reader if multiline else islice(reader, BY_CSV):
                    if fields:
                        yield number, fields
                    number = start + reader.line_num
    lines.put_back(chunk[number - first :])
    while lines.number < last and (record := next_record(lines, delimiter, quoting=True)):
        yield record


def _simple_fields(line: str, delimiter: str) -> list[str] | None:
    """The fields of a line if none, one or all of them are quoted, and none contains a quote; None for other lines.

    For long texts this is several times faster than the csv module, which reads character by character.
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
    """The fields of a record with quotes, which may span several lines, or an error message; then only its first line is used."""
    taken: list[str | None] = []
    fields: list[str] = []
    position, length = 0, len(line)
    while True:
        if not line.startswith('"', position):
            end = line.find(delimiter, position)
            fields.append(line[position:] if end < 0 else line[position:end])
            if end < 0:
                return fields
            position = end + len(delimiter)
            continue
        pieces: list[str] = []
        start = position + 1
        while True:
            end = line.find('"', start)
            if end < 0:  # the field continues on the next line
                pieces += [line[start:], "\n"]
                following = next(lines, END)
                if following != END:
                    taken.append(following)
                length += len(following or "")
                if following is None or following == END or length > LONGEST:
                    return _put_back(lines, taken, UNCLOSED)
                line, start = following, 0
            elif line.startswith('""', end):
                pieces.append(line[start : end + 1])
                start = end + 2
            else:
                pieces.append(line[start:end])
                break
        fields.append("".join(pieces))
        position = end + 1
        if position == len(line):
            return fields
        if not line.startswith(delimiter, position):
            return _put_back(lines, taken, _unexpected(delimiter, len(fields)))
        position += len(delimiter)


def _unexpected(delimiter: str, field: int) -> str:
    name = BLANKS.get(delimiter, f"'{delimiter}'")
    return f"expected {name} after the closing '\"' of field {field}; {NO_QUOTES}"


def _put_back(lines: NumberedLines, taken: list[str | None], reason: str) -> str:
    lines.put_back(taken)
    return reason
