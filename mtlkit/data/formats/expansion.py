"""A limit on how much larger than its file the data in it may be."""

from __future__ import annotations

from typing import Protocol

from mtlkit.errors import DataError

MOST_EXPANDED = 200  # times the file; text shrinks by 3 to 20 times
CHECKED_FROM = 1 << 27  # bytes


class Sized(Protocol):
    def size(self) -> int: ...


class Expansion:
    """Counts the bytes that come out of a file. Raises DataError where they are out of all proportion to it."""

    def __init__(self, file: Sized) -> None:
        self._file, self._bytes = file, 0
        self._most = max(CHECKED_FROM, MOST_EXPANDED * file.size())

    def add(self, count: int) -> None:
        self._bytes += count
        if self._bytes > self._most:
            said = f"a file of {self._file.size():,} bytes holds more than {self._bytes:,} bytes of data, as no real texts do"
            raise DataError(f"{self._file}: {said}; if it is meant, write it out uncompressed")
