"""From lines to records of fields, with or without quotes."""

from __future__ import annotations

from collections.abc import Iterator

from mtlkit.data.formats.text import LONGEST, Lines

UNCLOSED = "a quote opened here is never closed"
TOO_LONG = f"a row of more than {LONGEST:,} characters"


def records(lines: Lines, delimiter: str, quoting: bool) -> Iterator[tuple[int, list[str] | str]]:
    """The line on which each record begins, with its fields, or with the reason why it is none. Blank lines are passed over.

    After a bad quote reading goes on at the next line, so that one quote costs one line.
    """
    for line in lines:
        number = lines.number
        if line is None:
            yield number, TOO_LONG
        elif not line:
            continue
        elif not quoting or '"' not in line:
            yield number, line.split(delimiter)
        else:
            yield number, _quoted(line, lines, delimiter)


def _quoted(line: str, lines: Lines, delimiter: str) -> list[str] | str:
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
                following = next(lines, "\n")  # at the end of the file; no line is that
                if following != "\n":
                    taken.append(following)
                length += len(following or "")
                if following is None or following == "\n" or length > LONGEST:
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
            return _give_up(lines, taken, f"'{delimiter}' expected after the closing '\"' of field {len(fields)}")
        at += len(delimiter)


def _give_up(lines: Lines, taken: list[str | None], reason: str) -> str:
    lines.put_back(taken)
    return reason
