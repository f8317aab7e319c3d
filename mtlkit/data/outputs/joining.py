"""Joins the parts of an output into one file of the same format, in bounded memory."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np
from numpy.lib import format as npy

from mtlkit.config.commands.embed import VectorType
from mtlkit.data.formats.files import DataFile
from mtlkit.data.outputs.columns import SCALE, VECTOR, Layout, VectorColumn
from mtlkit.data.outputs.writers import SAFETENSORS_TYPES, NpyWriter, SafetensorsWriter
from mtlkit.data.sources.parquet import parquet_file
from mtlkit.runs import atomic as disk

BLOCK = 1 << 22  # bytes, or rows of vectors, at a time
BLOCK_ROWS = 1 << 13


def joined_file(files: Sequence[DataFile], suffix: str, output: Path) -> None:
    """Writes the parts one after the other to a file that appears when it is complete. Raises SavingError, DataError."""
    with disk.saving(output), disk.atomic_file(output.resolve()) as file:
        JOIN[suffix](files, file)


def _copy(source: IO[bytes], target: BinaryIO) -> None:
    while block := source.read(BLOCK):
        target.write(block)


def _join_lines(files: Sequence[DataFile], target: BinaryIO) -> None:
    for file in files:
        with file.open() as source:
            _copy(source, target)


def _join_csv(files: Sequence[DataFile], target: BinaryIO) -> None:
    """All parts have the same header, which is a line: names of columns with line breaks would be quoted, and are skipped as the
    same bytes."""
    with files[0].open() as first:
        header = _header_of(first)
    target.write(header)
    for file in files:
        with file.open() as source:
            source.read(len(header))
            _copy(source, target)


def _header_of(file: IO[bytes]) -> bytes:
    """The first row of a csv file, whose quoted fields may have line breaks."""
    header = b""
    while line := file.readline():
        header += line
        if header.count(b'"') % 2 == 0:
            break
    return header


def _join_npy(files: Sequence[DataFile], target: BinaryIO) -> None:
    writer: NpyWriter | None = None
    for file in files:
        with file.open() as source:
            npy.read_magic(source)
            shape, _, kind = npy.read_array_header_1_0(source)
            writer = writer or NpyWriter(target, Layout(False, (), _vector(shape[1], kind)))
            for start in range(0, shape[0], BLOCK_ROWS):
                rows = min(BLOCK_ROWS, shape[0] - start)
                block = np.frombuffer(source.read(rows * shape[1] * kind.itemsize), kind).reshape(rows, shape[1])
                writer.add({VECTOR: block})
    if writer is not None:
        writer.close()


def _vector(width: int, kind: np.dtype[Any]) -> VectorColumn:
    types: dict[str, VectorType] = {"<f4": "float32", "<f2": "float16", "|i1": "int8", "|u1": "binary"}
    name = types[kind.str]
    return VectorColumn(width * 8 if name == "binary" else width, name)


def _join_safetensors(files: Sequence[DataFile], target: BinaryIO) -> None:
    writer: SafetensorsWriter | None = None
    for file in files:
        with file.open() as source:
            (length,) = struct.unpack("<Q", source.read(8))
            tensors = json.loads(source.read(length))
            shape = tensors["vectors"]["shape"]
            kinds: dict[str, Any] = {name: kind for kind, name in SAFETENSORS_TYPES.items()}
            kind: VectorType = kinds[tensors["vectors"]["dtype"]]
            vector = VectorColumn(shape[1] * 8 if kind == "binary" else shape[1], kind)
            writer = writer or SafetensorsWriter(target, Layout(False, (), vector))
            vectors = np.frombuffer(source.read(shape[0] * shape[1] * vector.numpy_type.itemsize), vector.numpy_type)
            scales = {SCALE: np.frombuffer(source.read(), "<f4")} if vector.scaled else {}
            writer.add({VECTOR: vectors.reshape(shape), **scales})
    if writer is not None:
        writer.close()


def _join_parquet(files: Sequence[DataFile], target: BinaryIO) -> None:
    from pyarrow import parquet

    with ExitStack() as stack:
        writer: Any = None
        for file in files:
            with parquet_file(file) as opened:
                if writer is None:
                    writer = stack.enter_context(parquet.ParquetWriter(target, opened.schema_arrow, compression="zstd"))
                for group in range(opened.num_row_groups):
                    writer.write_table(opened.read_row_group(group))


JOIN: dict[str, Callable[[Sequence[DataFile], BinaryIO], None]] = {
    ".jsonl": _join_lines,
    ".csv": _join_csv,
    ".npy": _join_npy,
    ".safetensors": _join_safetensors,
    ".parquet": _join_parquet,
}
