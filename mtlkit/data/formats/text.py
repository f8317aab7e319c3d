"""Data files as text and as lines with their numbers, in bounded memory."""

from __future__ import annotations

import codecs
import io
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO

from mtlkit.data.formats.beginning import check_beginning
from mtlkit.data.formats.files import DataFile, open_bytes
from mtlkit.errors import DataError

CHUNK = 1 << 16  # characters read at a time; more would not stay in the caches of a processor
LONGEST = 1 << 26  # characters of a row: more than any text has, and little enough to hold


@contextmanager
def open_lines(file: DataFile, encoding: str) -> Iterator[NumberedLines]:
    """The lines of a text file. Raises DataError where the file or the encoding is not readable."""
    with open_text(file, encoding) as text:
        yield NumberedLines(split_lines(text))


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
            check_beginning(content, str(file), encoding)
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
    offset, read, line = 0, 0, 1  # offset of what the decoder has not taken yet
    with open_bytes(file) as content:
        while piece := content.read(1 << 20):
            try:
                decoder.decode(piece)
            except UnicodeError as error:
                offset += getattr(error, "start", 0)
                line += piece[: max(0, offset - read)].count(b"\n")
                break
            read += len(piece)
            line += piece.count(b"\n")
            offset = read - len(decoder.getstate()[0])
    return f"{file}:{line}: byte {offset} is not {encoding}; specify the encoding, such as --encoding latin-1"


def split_lines(text: IO[str]) -> Iterator[list[str | None]]:
    """Lots of lines without their ends, whatever these are; None for a line longer than LONGEST, whose rest is passed over."""
    pieces: list[str] = []
    length = 0  # of the pieces; -1 in a line that is too long
    while chunk := text.read(CHUNK):
        lot: list[str | None] = []
        first, *others = chunk.split("\n")
        if length >= 0:
            pieces.append(first)
            length += len(first)
            if length > LONGEST:
                lot.append(None)
                pieces, length = [], -1
        if others:
            if length >= 0:
                lot.append("".join(pieces))
            last = others.pop()
            lot += others
            pieces, length = [last], len(last)
        if lot:
            yield lot
    if length > 0:
        yield ["".join(pieces)]


class NumberedLines:
    """Lines with their numbers, from 1, out of lots of them. Those that were read ahead can be put back."""

    def __init__(self, lots: Iterable[list[str | None]]) -> None:
        self._lots, self._ahead = iter(lots), deque[str | None]()
        self.number = 0  # of the line that was given last

    def __next__(self) -> str | None:
        while not self._ahead:
            self._ahead.extend(next(self._lots))
        self.number += 1
        return self._ahead.popleft()

    def take(self) -> list[str | None]:
        """The next lines, as many as are at hand; an empty list at the end. A loop over lists costs less than one over calls."""
        lines = list(self._ahead) or next(self._lots, [])
        self._ahead.clear()
        self.number += len(lines)
        return lines

    def numbered(self) -> Iterator[tuple[int, str | None]]:
        """The lines that are left, with their numbers."""
        while lines := self.take():
            yield from enumerate(lines, self.number - len(lines) + 1)

    def put_back(self, lines: list[str | None]) -> None:
        """Gives these lines again, which were given last."""
        self._ahead.extendleft(reversed(lines))
        self.number -= len(lines)

    def peek(self, most: int, characters: int) -> list[str | None]:
        """The next lines: so many at most, and of so many characters together, but one."""
        taken: list[str | None] = []
        sample: list[str | None] = []
        while len(sample) < most and characters > 0 and (lines := self.take()):
            taken += lines
            for line in lines:
                sample.append(line)
                characters -= len(line or "")
                if len(sample) >= most or characters <= 0:
                    break
        self.put_back(taken)
        return sample
