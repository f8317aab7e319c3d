"""Data files as byte streams, decompressed according to their suffix, in bounded memory."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import IO, Any, Protocol

from mtlkit.config.small_files import Unreadable, open_file
from mtlkit.data.formats.expansion import Expansion
from mtlkit.errors import DataError, first_line

COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".xz": "xz", ".zst": "zstd"}


class DataFile(Protocol):
    """A file that can be opened more than once; its `str` is its name in messages."""

    @property
    def file_name(self) -> str: ...

    def size(self) -> int: ...

    def open(self) -> IO[bytes]: ...


@dataclass(frozen=True)
class LocalFile:
    """A regular file on this machine."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    @property
    def file_name(self) -> str:
        return self.path.name

    def size(self) -> int:
        return self.path.stat().st_size

    def open(self) -> IO[bytes]:
        """Raises DataError if it is not a regular file; never blocks on a pipe."""
        try:
            return open_file(self.path)
        except Unreadable as error:
            advice = "; to read from a pipe, pass '-' and pipe the data in" if "pipe" in str(error) else ""
            raise DataError(f"{self.path}: {error}{advice}") from None
        except OSError as error:
            raise DataError(f"{self.path}: {error.strerror}") from None


@lru_cache(maxsize=256)
def split_suffix(name: str) -> tuple[str, str | None]:
    """`Train.csv.gz` -> (".csv", "gzip"): the suffix of the format in lower case, and the compression."""
    path = PurePosixPath(name.lower())
    compression = COMPRESSIONS.get(path.suffix)
    return (PurePosixPath(path.stem).suffix if compression else path.suffix), compression


def stem_of(name: str) -> str:
    """`Train.csv.gz` -> `Train`."""
    path = PurePosixPath(name)
    return PurePosixPath(path.stem).stem if path.suffix.lower() in COMPRESSIONS else path.stem


class _Expanded(io.RawIOBase):
    """A stream of decompressed bytes that counts them against the expansion limit."""

    def __init__(self, stream: Any, file: DataFile) -> None:
        self._stream, self._expansion = stream, Expansion(file)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        self._expansion.add(len(data))
        return len(data)


@contextmanager
def open_bytes(file: DataFile) -> Iterator[IO[bytes]]:
    """Opens a file, decompressing it on the fly. Raises DataError if that fails."""
    compression = split_suffix(file.file_name)[1]
    with file.open() as raw:
        if compression is None:
            yield raw
            return
        try:
            yield io.BufferedReader(_Expanded(_decompressor(raw, compression), file), 1 << 16)  # type: ignore[return-value,unused-ignore]
        except (EOFError, OSError, zlib.error, lzma.LZMAError) as error:
            reason = first_line(error)
            raise DataError(f"{file}: cannot be decompressed as {compression} ({reason})") from None


def _decompressor(raw: IO[bytes], compression: str) -> Any:
    if compression == "gzip":
        return gzip.GzipFile(fileobj=raw)
    if compression == "bz2":
        return bz2.BZ2File(raw)
    if compression == "xz":
        return lzma.LZMAFile(raw)
    import pyarrow

    return pyarrow.CompressedInputStream(pyarrow.PythonFile(raw, "r"), "zstd")
