"""Data files as text and as numbered lines, in bounded memory."""

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

CHUNK = 1 << 16  # characters to read at a time; more would not fit into the caches of a processor
LONGEST = 1 << 26  # characters of a row: longer than any real text, and short enough for memory


@contextmanager
def open_lines(file: DataFile, encoding: str) -> Iterator[NumberedLines]:
    """The lines of a text file. Raises DataError if the file cannot be read or decoded."""
    with open_text(file, encoding) as text:
        yield NumberedLines(split_lines(text))


@contextmanager
def open_text(file: DataFile, encoding: str) -> Iterator[IO[str]]:
    """The text of a file with every line ending as "\\n". Raises DataError if the file cannot be read or decoded."""
    try:
        "".encode(encoding)  # not only a lookup: base64 is a codec, but not a text encoding
    except (LookupError, ValueError):  # ValueError: the codec `undefined`
        raise DataError(f"{file}: unknown encoding {encoding!r}; use one that Python knows, such as utf-8 or latin-1") from None
    codec = "utf-8-sig" if codecs.lookup(encoding).name == "utf-8" else encoding
    try:
        with open_bytes(file) as content:
            check_beginning(content, str(file), encoding)
            yield io.TextIOWrapper(content, codec)
    except UnicodeError:
        try:
            reason = _undecodable(file, encoding)
        except DataError:  # a pipe cannot be read again
            reason = f"{file}: not valid {encoding}; specify the encoding, such as --encoding latin-1"
        raise DataError(reason) from None


def _undecodable(file: DataFile, encoding: str) -> str:
    """The error message with the position of the first invalid byte; reads the file in pieces."""
    decoder = codecs.getincrementaldecoder(encoding)()
    offset, read, line = 0, 0, 1  # offset: of the first byte that is not decoded yet
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
    return f"{file}:{line}: byte {offset} is not valid {encoding}; specify the encoding, such as --encoding latin-1"


def split_lines(text: IO[str]) -> Iterator[list[str | None]]:
    """Yields lists of lines without line endings; a line longer than LONGEST becomes None."""
    pieces: list[str] = []
    length = 0  # of the pieces; -1 inside a line that is too long
    while chunk := text.read(CHUNK):
        lines: list[str | None] = []
        first, *others = chunk.split("\n")
        if length >= 0:
            pieces.append(first)
            length += len(first)
            if length > LONGEST:
                lines.append(None)
                pieces, length = [], -1
        if others:
            if length >= 0:
                lines.append("".join(pieces))
            last = others.pop()
            lines += others
            pieces, length = [last], len(last)
        if lines:
            yield lines
    if length > 0:
        yield ["".join(pieces)]


class NumberedLines:
    """Lines numbered from 1, from an iterable of lists of lines. Lines that were taken can be put back."""

    def __init__(self, chunks: Iterable[list[str | None]]) -> None:
        self._chunks, self._ahead = iter(chunks), deque[str | None]()
        self.number = 0  # of the line taken last

    def __next__(self) -> str | None:
        while not self._ahead:
            self._ahead.extend(next(self._chunks))
        self.number += 1
        return self._ahead.popleft()

    def take(self) -> list[str | None]:
        """The lines that are already in memory, or the next chunk; an empty list at the end. Faster than one call per line."""
        lines = list(self._ahead) or next(self._chunks, [])
        self._ahead.clear()
        self.number += len(lines)
        return lines

    def numbered(self) -> Iterator[tuple[int, str | None]]:
        """The remaining lines with their numbers."""
        while lines := self.take():
            yield from enumerate(lines, self.number - len(lines) + 1)

    def put_back(self, lines: list[str | None]) -> None:
        """Puts back the lines that were taken last."""
        self._ahead.extendleft(reversed(lines))
        self.number -= len(lines)

    def peek(self, most: int, characters: int) -> list[str | None]:
        """The next lines without consuming them: up to `most` lines, ending with the one that reaches `characters`."""
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
