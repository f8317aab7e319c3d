"""Guards against decompression bombs: limits how much data a file may expand to."""

from __future__ import annotations

from typing import Protocol

from mtlkit.errors import DataError

MAX_RATIO = 200  # to the size of the file; text compresses by a factor of 3 to 20
ALWAYS_ALLOWED = 1 << 27  # bytes


class Sized(Protocol):
    def size(self) -> int: ...


class Expansion:
    """Counts the expanded bytes of a file. Raises DataError if they exceed MAX_RATIO times its size."""

    def __init__(self, file: Sized) -> None:
        self._file, self._bytes = file, 0
        self._limit = max(ALWAYS_ALLOWED, MAX_RATIO * file.size())

    def add(self, count: int) -> None:
        self._bytes += count
        if self._bytes > self._limit:
            raise DataError(
                f"{self._file}: expands from {self._file.size():,} bytes to more than {self._bytes:,}, which real text does not; "
                "if this is intended, store it uncompressed"
            )
