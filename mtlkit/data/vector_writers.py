"""Writes vectors to npy, jsonl, parquet or safetensors files in parts, in bounded memory."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from mtlkit.errors import UsageError, listed
from mtlkit.runs import atomic as disk

Vectors = NDArray[np.float32]
HEADER_ROOM = 256  # bytes reserved for a safetensors header, as the number of rows is known only at the end


class Writer(Protocol):
    """Writes texts and their vectors in parts."""

    def add(self, texts: Sequence[str], vectors: Vectors) -> None: ...

    def close(self) -> None: ...


class RowsWriter:
    """Rows of float32 after a header with their number, which is rewritten at the end."""

    def __init__(self, file: BinaryIO, dim: int) -> None:
        self.file, self.dim, self.rows = file, dim, 0
        self._header()

    def _header(self) -> None:
        raise NotImplementedError

    def add(self, texts: Sequence[str], vectors: Vectors) -> None:
        self.file.write(np.ascontiguousarray(vectors, "<f4").data)  # no copy: parts are large
        self.rows += len(vectors)

    def close(self) -> None:
        self._header()


class NpyWriter(RowsWriter):
    """An array (rows, dim). The header that numpy writes has room for a larger number of rows."""

    def _header(self) -> None:
        self.file.seek(0)
        header: dict[str, Any] = {"descr": "<f4", "fortran_order": False, "shape": (self.rows, self.dim)}
        npy.write_array_header_1_0(self.file, header)


class SafetensorsWriter(RowsWriter):
    """One tensor, `vectors`, (rows, dim). Format: 8 bytes of header length, JSON padded with spaces, the data."""

    def _header(self) -> None:
        self.file.seek(0)
        size = self.rows * self.dim * 4
        header = json.dumps({"vectors": {"dtype": "F32", "shape": [self.rows, self.dim], "data_offsets": [0, size]}})
        self.file.write(struct.pack("<Q", HEADER_ROOM) + header.encode().ljust(HEADER_ROOM))


class JsonlWriter:
    """One JSON object per line with text and vector."""

    def __init__(self, file: BinaryIO, dim: int) -> None:
        self.file = file

    def add(self, texts: Sequence[str], vectors: Vectors) -> None:
        for text, vector in zip(texts, vectors, strict=True):
            line = json.dumps({"text": text, "vector": vector.tolist()}, ensure_ascii=False)
            self.file.write(line.encode("utf-8", "surrogatepass") + b"\n")

    def close(self) -> None:
        pass


class ParquetWriter:
    """Columns text and vector (a list of `dim` float32)."""

    def __init__(self, file: BinaryIO, dim: int) -> None:
        import pyarrow
        from pyarrow import parquet

        self.arrow: Any = pyarrow
        self.vector_type = pyarrow.list_(pyarrow.float32(), dim)
        self.schema = pyarrow.schema([("text", pyarrow.string()), ("vector", self.vector_type)])
        self.writer = parquet.ParquetWriter(file, self.schema, compression="zstd")

    def add(self, texts: Sequence[str], vectors: Vectors) -> None:
        flat = self.arrow.array(vectors.ravel(), self.arrow.float32())
        column = self.arrow.FixedSizeListArray.from_arrays(flat, type=self.vector_type)
        self.writer.write_table(
            self.arrow.table([self.arrow.array(list(texts), self.arrow.string()), column], schema=self.schema)
        )

    def close(self) -> None:
        self.writer.close()


WRITERS: dict[str, type[NpyWriter] | type[JsonlWriter] | type[ParquetWriter] | type[SafetensorsWriter]] = {
    ".npy": NpyWriter,
    ".jsonl": JsonlWriter,
    ".parquet": ParquetWriter,
    ".safetensors": SafetensorsWriter,
}


def check_suffix(path: Path) -> None:
    """Raises UsageError for an unknown suffix."""
    if path.suffix.lower() not in WRITERS:
        raise UsageError(f"--output {path}: suffix {path.suffix!r} is not one of {listed(WRITERS)}")


@contextmanager
def vector_file(path: Path, dim: int, folder: Path | None = None) -> Iterator[Writer]:
    """Writes to a temporary file beside `path`, or in `folder` on the same disk, and renames it at the end.

    An existing file stays untouched until then, and a link stays a link. Raises SavingError.
    """
    with disk.saving(path), disk.atomic_file(path.resolve(), folder) as file:
        writer = WRITERS[path.suffix.lower()](file, dim)
        try:
            yield writer
        finally:  # also after an error: an open writer would raise when the file is gone
            writer.close()
