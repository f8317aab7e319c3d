"""Rows of JSON: an object a line, or an array of objects."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import IO, Any

from mtlkit.config.from_json import parse_json
from mtlkit.data.formats.files import DataFile
from mtlkit.data.formats.records import TOO_LONG
from mtlkit.data.formats.text import CHUNK, LONGEST, open_lines, open_text
from mtlkit.data.sources.rows import BadRow, Row, placed
from mtlkit.errors import DataError, listed

DEEP = 100  # brackets of a line, which may be nested too deeply from here on
BLANK = " \t\n\r"


def read_json_lines(file: DataFile, encoding: str) -> Iterator[Row | BadRow]:
    """One JSON object a line."""
    with open_lines(file, encoding) as lines:
        for number, line in lines.numbered():
            if line is None:
                yield BadRow(f"{file}:{number}: {TOO_LONG}")
            elif line and not line.isspace():
                value = _parsed(line)
                if isinstance(value, dict) and _is_plain(line):
                    yield placed(value, file, number)
                else:
                    yield _placed(value, file, number)


def _is_plain(line: str) -> bool:
    """Whether a line has nothing that `_is_text` looks for; to see that costs less."""
    return "\\u" not in line and line.count("[") + line.count("{") < DEEP


def _parsed(line: str) -> Any:
    """The value of a line; a ValueError in place of it where it is no JSON."""
    try:
        return parse_json(line)
    except ValueError as error:
        return error


def _placed(value: Any, file: DataFile, number: int) -> Row | BadRow:
    if isinstance(value, ValueError):
        return BadRow(f"{file}:{number}: not JSON ({value})")
    if not isinstance(value, dict):
        return BadRow(f"{file}:{number}: {_kind(value)} where a JSON object belongs")
    if not _is_text(value):
        return BadRow(f"{file}:{number}: half a surrogate pair, which is no character, or nested too deeply")
    return placed(value, file, number)


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    return {str: "a string", bool: "true or false", list: "an array"}.get(type(value), "a number")


def _is_text(value: Row) -> bool:
    try:
        return bool(json.dumps(value, ensure_ascii=False).encode())
    except (UnicodeEncodeError, RecursionError):
        return False


def read_json(file: DataFile, encoding: str) -> Iterator[Row | BadRow]:
    """An array of objects, read as a stream; a row's place is its number. A file of JSON lines is read as that.

    Raises DataError for any other document.
    """
    with open_text(file, encoding) as text:
        first = text.read(CHUNK).lstrip(BLANK)
    if first.startswith("["):
        with open_text(file, encoding) as text:
            yield from (_placed(value, file, number) for number, value in enumerate(_elements(text, file), 1))
    elif not first or _is_lines(first):
        yield from read_json_lines(file, encoding)
    else:
        raise DataError(f"{file}: {_other(first)}; rows are read from an array of objects, or from one object a line (jsonl)")


def _is_lines(text: str) -> bool:
    """Whether every line is an object, as far as the first two tell; one alone must hold a plain value to be a row."""
    line, _, rest = text.partition("\n")
    value = _parsed(line)
    if not isinstance(value, dict):
        return False
    return rest.lstrip(BLANK).startswith("{") or any(not isinstance(one, (list, dict)) for one in value.values())


def _other(text: str) -> str:
    value = _parsed(text)
    if isinstance(value, dict):
        return f"a JSON object with the keys {listed(value, 6)}"
    return "a JSON object" if text.startswith("{") else "not JSON"


def _elements(text: IO[str], file: DataFile) -> Iterator[Any]:
    """The elements of an array. Raises DataError where it is no JSON: what follows cannot be told apart."""
    decoder = json.JSONDecoder()
    buffer, at, count = text.read(CHUNK).lstrip(BLANK)[1:], 0, 0
    wanted, reason = CHUNK, ""
    while True:
        while at < len(buffer) and (buffer[at] in BLANK or (buffer[at] == "," and count)):
            at += 1
        if buffer.startswith("]", at):
            return
        try:
            value, end = decoder.raw_decode(buffer, at)
            reason, complete = "", end < len(buffer)  # a number may go on
        except (ValueError, RecursionError) as error:
            reason, complete = str(error), False
        if complete:
            yield value
            at, count, wanted = end, count + 1, CHUNK
            continue
        more = text.read(wanted)
        if not more or len(buffer) - at > LONGEST:
            said = f"not JSON, or cut off ({reason})" if reason else "cut off"
            said = f"more than {LONGEST:,} characters" if more else said
            raise DataError(f"{file}:{count + 1}: {said}")
        buffer, at = buffer[at:] + more, 0
        wanted = min(2 * wanted, LONGEST)
