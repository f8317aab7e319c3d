"""Data files as text and as lines with their numbers, in bounded memory."""

from __future__ import annotations

import codecs
import io
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from mtlkit.data.formats.files import DataFile, open_bytes
from mtlkit.errors import DataError

CHUNK = 1 << 18  # characters read at a time
LONGEST = 1 << 26  # characters of a row: more than any text has, and little enough to hold


@contextmanager
def open_lines(file: DataFile, encoding: str) -> Iterator[Lines]:
    """The lines of a text file. Raises DataError where the file or the encoding is not readable."""
    with open_text(file, encoding) as text:
        yield Lines(split_lines(text))


@contextmanager
def open_text(file: DataFile, encoding: str) -> Iterator[IO[str]]:
    """The text of a file, every line ended by "\\n" whatever ends it there. Raises DataError."""
    try:
        "".encode(encoding)  # more than a look-up: base64 is known, but no encoding of text
    except (LookupError, ValueError):  # of Python's encodings, `undefined` is there to fail
        raise DataError(f"{file}: encoding {encoding!r} is not known to Python; utf-8, latin-1, utf-16 are") from None
    codec = "utf-8-sig" if codecs.lookup(encoding).name == "utf-8" else encoding
    try:
        with open_bytes(file) as content:
            yield io.TextIOWrapper(content, codec)
    except UnicodeError:
        try:
            reason = _undecodable(file, encoding)
        except DataError:  # what comes from a pipe cannot be read again
            reason = f"{file}: not {encoding}; specify the encoding, such as --encoding latin-1"
        raise DataError(reason) from None


def _undecodable(file: DataFile, encoding: str) -> str:
    """Finds the first byte that is not of the encoding, without holding the file."""
    decoder = codecs.getincrementaldecoder(encoding)()
    offset, read, hint = 0, 0, "latin-1"  # offset of what the decoder has not taken yet
    with open_bytes(file) as content:
        while piece := content.read(1 << 20):
            if offset == 0 and piece[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
                hint = "utf-16"
            try:
                decoder.decode(piece)
            except UnicodeError as error:
                offset += getattr(error, "start", 0)
                break
            read += len(piece)
            offset = read - len(decoder.getstate()[0])
    return f"{file}: byte {offset} is not {encoding}; specify the encoding, such as --encoding {hint}"


def split_lines(text: IO[str]) -> Iterator[str | None]:
    """Lines without their ends, whatever these are; None for a line longer than LONGEST, whose rest is passed over."""
    pieces: list[str] = []
    length = 0  # of the pieces; -1 in a line that is too long
    while chunk := text.read(CHUNK):
        first, *others = chunk.split("\n")
        if length >= 0:
            pieces.append(first)
            length += len(first)
            if length > LONGEST:
                yield None
                pieces, length = [], -1
        if others:
            if length >= 0:
                yield "".join(pieces)
            *whole, last = others
            yield from whole
            pieces, length = [last], len(last)
    if length > 0:
        yield "".join(pieces)


class Lines:
    """Lines with their numbers, from 1. Those that were read ahead can be put back."""

    def __init__(self, lines: Iterator[str | None]) -> None:
        self._lines, self._ahead = lines, deque[str | None]()
        self.number = 0  # of the line that was given last

    def __iter__(self) -> Iterator[str | None]:
        """The lines that are left; as a generator, which is twice as fast as calls of `__next__`."""
        ahead, lines = self._ahead, self._lines
        while True:
            while ahead:
                self.number += 1
                yield ahead.popleft()
            for line in lines:
                self.number += 1
                yield line
                if ahead:
                    break
            else:
                return

    def __next__(self) -> str | None:
        line = self._ahead.popleft() if self._ahead else next(self._lines)
        self.number += 1
        return line

    def put_back(self, lines: list[str | None]) -> None:
        """Gives these lines again, which were given last."""
        self._ahead.extendleft(reversed(lines))
        self.number -= len(lines)

    def peek(self, most: int, characters: int) -> list[str | None]:
        """The next lines: so many at most, and of so many characters together, but one."""
        taken: list[str | None] = []
        for line in self:
            taken.append(line)
            characters -= len(line or "")
            if len(taken) >= most or characters <= 0:
                break
        self.put_back(taken)
        return taken
