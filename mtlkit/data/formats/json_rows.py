"""Reads rows from JSON: one object per line, or an array of objects."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import IO, Any

from mtlkit.config.from_json import json_type, parse_json
from mtlkit.data.formats.files import DataFile
from mtlkit.data.formats.records import TOO_LONG
from mtlkit.data.formats.text import CHUNK, LONGEST, open_lines, open_text
from mtlkit.data.sources.rows import BadRow, Row, placed
from mtlkit.errors import DataError, listed

DEEP = 100  # brackets in a line; with fewer it cannot be nested too deeply
BLANK = " \t\n\r"


def read_json_lines(file: DataFile, encoding: str) -> Iterator[Row | BadRow]:
    """Reads one JSON object per line; blank lines are skipped."""
    with open_lines(file, encoding) as lines:
        for number, line in lines.numbered():
            if line is None:
                yield BadRow(f"{file}:{number}: {TOO_LONG}")
            elif line and not line.isspace():
                value = _parsed(line)
                if isinstance(value, dict) and _is_plain(line):
                    yield placed(value, file, number)
                else:
                    yield _checked_row(value, file, number)


def _is_plain(line: str) -> bool:
    """Cheap test that a line contains nothing that `_is_text` would reject."""
    return "\\u" not in line and line.count("[") + line.count("{") < DEEP


def _parsed(line: str) -> Any:
    """The value of a line, or the ValueError if it is not valid JSON."""
    try:
        return parse_json(line)
    except ValueError as error:
        return error


def _checked_row(value: Any, file: DataFile, number: int) -> Row | BadRow:
    if isinstance(value, ValueError):
        return BadRow(f"{file}:{number}: invalid JSON ({value})")
    if not isinstance(value, dict):
        return BadRow(f"{file}:{number}: expected a JSON object, not {json_type(value)}")
    if not _is_text(value):
        return BadRow(f"{file}:{number}: contains half a surrogate pair (not a character), or is nested too deeply")
    return placed(value, file, number)


def _is_text(value: Row) -> bool:
    try:
        return bool(json.dumps(value, ensure_ascii=False).encode())
    except (UnicodeEncodeError, RecursionError):
        return False


def read_json(file: DataFile, encoding: str) -> Iterator[Row | BadRow]:
    """Reads an array of objects as a stream, with row numbers from 1; JSON lines are also accepted.

    Raises DataError for any other document.
    """
    with open_text(file, encoding) as text:
        first = text.read(CHUNK).lstrip(BLANK)
    if first.startswith("["):
        with open_text(file, encoding) as text:
            yield from (_checked_row(value, file, number) for number, value in enumerate(_elements(text, file), 1))
    elif not first or _is_lines(first):
        yield from read_json_lines(file, encoding)
    else:
        raise DataError(f"{file}: expected an array of objects, or one object per line (jsonl), not {_describe(first)}")


def _is_lines(text: str) -> bool:
    """Whether the document looks like JSON lines, judging by two lines; a single object must hold a plain value to be a row."""
    line, _, rest = text.partition("\n")
    value = _parsed(line)
    if not isinstance(value, dict):
        return False
    return rest.lstrip(BLANK).startswith("{") or any(not isinstance(item, (list, dict)) for item in value.values())


def _describe(text: str) -> str:
    value = _parsed(text)
    if isinstance(value, dict):
        return f"a JSON object with the keys {listed(value, 6)}"
    return "a JSON object" if text.startswith("{") else "other text"


def _elements(text: IO[str], file: DataFile) -> Iterator[Any]:
    """The elements of an array. Raises DataError for invalid JSON: reading cannot continue after it."""
    decoder = json.JSONDecoder()
    buffer, position, count = text.read(CHUNK).lstrip(BLANK)[1:], 0, 0
    chunk_size, reason = CHUNK, ""
    while True:
        while position < len(buffer) and (buffer[position] in BLANK or (buffer[position] == "," and count)):
            position += 1
        if buffer.startswith("]", position):
            return
        try:
            value, end = decoder.raw_decode(buffer, position)
            reason, complete = "", end < len(buffer)  # a number at the end of the buffer may be incomplete
        except (ValueError, RecursionError) as error:
            reason, complete = str(error), False
        if complete:
            yield value
            position, count, chunk_size = end, count + 1, CHUNK
            continue
        more = text.read(chunk_size)
        if not more or len(buffer) - position > LONGEST:
            problem = f"invalid or truncated JSON ({reason})" if reason else "truncated JSON"
            raise DataError(f"{file}:{count + 1}: {TOO_LONG if more else problem}")
        buffer, position = buffer[position:] + more, 0
        chunk_size = min(2 * chunk_size, LONGEST)
