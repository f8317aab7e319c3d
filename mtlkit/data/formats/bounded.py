"""A file wrapper that never reads past the end of the file."""

from __future__ import annotations

from typing import IO, Any


class BoundedFile:
    """An open binary file for pyarrow, which requests as many bytes as a damaged file claims; Python would allocate them all."""

    def __init__(self, content: IO[bytes], size: int) -> None:
        self._content, self._size = content, size

    def read(self, count: int = -1) -> bytes:
        left = max(0, self._size - self._content.tell())
        return self._content.read(left if count < 0 else min(count, left))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._content, name)
