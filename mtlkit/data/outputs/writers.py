"""Writes rows to npy, safetensors, jsonl, csv or parquet files in parts, in bounded memory."""

from __future__ import annotations

import csv
import io
import json
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from mtlkit.config.from_json import to_json
from mtlkit.data.outputs.columns import SCALE, VECTOR, Batch, Layout, VectorColumn, plain
from mtlkit.data.outputs.parquet_writer import ParquetWriter
from mtlkit.errors import UsageError, listed
from mtlkit.runs import atomic as disk

HEADER_ROOM = 256  # bytes reserved for a safetensors header, as the number of rows is known only at the end
SAFETENSORS_TYPES = {"float32": "F32", "float16": "F16", "int8": "I8", "binary": "U8"}


class Writer(Protocol):
    """Writes rows in parts."""

    def add(self, batch: Batch) -> None: ...

    def close(self) -> None: ...


class RowsWriter:
    """Vectors after a header with their number, which is rewritten at the end."""

    def __init__(self, file: BinaryIO, layout: Layout) -> None:
        assert layout.vector is not None
        self.file, self.vector, self.rows = file, layout.vector, 0
        self._header()

    def _header(self) -> None:
        raise NotImplementedError

    def add(self, batch: Batch) -> None:
        vectors = np.ascontiguousarray(batch[VECTOR], self.vector.numpy_type)
        self.file.write(vectors.data)  # no copy: parts are large
        self.rows += len(vectors)

    def close(self) -> None:
        self._header()


class NpyWriter(RowsWriter):
    """An array (rows, width). The header that numpy writes has room for a larger number of rows."""

    def _header(self) -> None:
        self.file.seek(0)
        shape = (self.rows, self.vector.width)
        header: dict[str, Any] = {"descr": npy.dtype_to_descr(self.vector.numpy_type), "fortran_order": False, "shape": shape}
        npy.write_array_header_1_0(self.file, header)


class SafetensorsWriter(RowsWriter):
    """The tensor `vectors`, (rows, width), and for int8 `scales`, (rows,). Format: 8 bytes of header length, JSON padded with
    spaces, the data."""

    def __init__(self, file: BinaryIO, layout: Layout) -> None:
        self.scales: list[NDArray[np.float32]] = []  # at the end of the file, 4 bytes for each row until then
        super().__init__(file, layout)

    def add(self, batch: Batch) -> None:
        super().add(batch)
        if self.vector.scaled:
            self.scales.append(np.array(batch[SCALE], "<f4"))

    def close(self) -> None:
        for scales in self.scales:
            self.file.write(scales.data)
        super().close()

    def _header(self) -> None:
        self.file.seek(0)
        size = self.rows * self.vector.width * self.vector.numpy_type.itemsize
        shape = [self.rows, self.vector.width]
        tensors = {"vectors": {"dtype": SAFETENSORS_TYPES[self.vector.type], "shape": shape, "data_offsets": [0, size]}}
        if self.vector.scaled:
            tensors["scales"] = {"dtype": "F32", "shape": [self.rows], "data_offsets": [size, size + 4 * self.rows]}
        self.file.write(struct.pack("<Q", HEADER_ROOM) + json.dumps(tensors).encode().ljust(HEADER_ROOM))


class JsonlWriter:
    """One JSON object per line with all columns."""

    def __init__(self, file: BinaryIO, layout: Layout) -> None:
        self.file = file
        self.optional = {column.name for column in layout.columns if column.optional}

    def add(self, batch: Batch) -> None:
        values = [column.tolist() if isinstance(column, np.ndarray) else column for column in batch.values()]
        for row in zip(*values, strict=True):
            record = dict(zip(batch, row, strict=True))
            for name in self.optional:
                if record[name] is None:
                    del record[name]
            line = to_json(record, ensure_ascii=False, default=str)
            self.file.write(line.encode("utf-8", "surrogatepass") + b"\n")

    def close(self) -> None:
        pass


class CsvWriter:
    """A header and a line per row. Vectors and nested values are JSON, and a missing value is an empty field."""

    def __init__(self, file: BinaryIO, layout: Layout) -> None:
        self.file, self.columns = file, {column.name: column for column in layout.columns}
        self._write([layout.names])

    def add(self, batch: Batch) -> None:
        columns = []
        for name, values in batch.items():
            column = self.columns.get(name)
            if isinstance(values, np.ndarray):
                columns.append([to_json(value) for value in values.tolist()])
            else:
                columns.append([value if column is None else plain(value, column) for value in values])
        self._write(zip(*columns, strict=True))

    def _write(self, rows: Any) -> None:
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows(rows)
        self.file.write(text.getvalue().encode("utf-8", "backslashreplace"))

    def close(self) -> None:
        pass


TABLES: dict[str, type[JsonlWriter] | type[CsvWriter] | type[ParquetWriter]] = {
    ".jsonl": JsonlWriter,
    ".csv": CsvWriter,
    ".parquet": ParquetWriter,
}
WRITERS: dict[str, Any] = {".npy": NpyWriter, ".safetensors": SafetensorsWriter, **TABLES}


def check_format(suffix: str, output: str, *, vectors: bool, keep: bool = False) -> None:
    """Raises UsageError if rows with, or without, vectors cannot be written in this format."""
    known = WRITERS if vectors else TABLES
    if suffix.lower() not in known:
        raise UsageError(f"--output {output}: suffix {suffix!r} is not one of {listed(known)}")
    if keep and suffix.lower() not in TABLES:
        raise UsageError(f"--output {output}: {suffix} holds vectors only, so --keep needs another format: {listed(TABLES)}")


def check_vector_type(suffix: str, vector: VectorColumn) -> None:
    """Raises UsageError if a format cannot hold vectors of this type with their scales."""
    if vector.scaled and suffix.lower() == ".npy":
        raise UsageError(
            "--dtype int8 stores a scale with each vector, and .npy has no place for it; use .safetensors or .parquet"
        )
    if vector.scaled and suffix.lower() == ".safetensors" and vector.dim % 4:
        raise UsageError(f"--dtype int8 in .safetensors needs a multiple of 4 dimensions, not {vector.dim}; use .parquet")


@contextmanager
def output_file(path: Path, layout: Layout, folder: Path | None = None) -> Iterator[Writer]:
    """Writes to a temporary file beside `path`, or in `folder` on the same disk, and renames it at the end.

    An existing file stays untouched until then, and a link stays a link. Raises SavingError.
    """
    with disk.saving(path), disk.atomic_file(path.resolve(), folder) as file:
        writer: Writer = WRITERS[path.suffix.lower()](file, layout)
        try:
            yield writer
        finally:  # also after an error: an open writer would raise when the file is gone
            writer.close()
