"""Checks the weights in an ONNX file for NaN and infinity.

Parses the few protobuf fields that this needs, so that NumPy is the only dependency.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mtlkit.errors import IntegrityError

# Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
GRAPH, INITIALIZER = 7, 5
TYPE, FLOATS, NAME, RAW = 2, 4, 8, 9
TYPES: dict[int, tuple[Any, int]] = {1: ("<f4", 4), 10: ("<f2", 2), 11: ("<f8", 8)}  # NumPy dtype, bytes per number
VARINT, EIGHT_BYTES, SPAN, FOUR_BYTES = 0, 1, 2, 5

Span = tuple[int, int]


def check_weights(path: Path) -> None:
    """Raises IntegrityError if a file cannot be read, or for the first weight with NaN or infinity."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            for graph in _spans(data, (0, len(data)), GRAPH):
                for tensor in _spans(data, graph, INITIALIZER):
                    if name := _not_finite(data, tensor):
                        raise IntegrityError(f"{path}: weight '{name}' contains NaN or infinity; the file is damaged")
    except (OSError, IndexError, ValueError) as error:  # ValueError also for an empty file
        raise IntegrityError(f"{path}: not a readable ONNX graph ({error})") from None


def _not_finite(data: mmap.mmap, tensor: Span) -> str | None:
    """The name of a tensor if it contains NaN or infinity."""
    kind, name, content = 0, "", (0, 0)
    for number, value in _fields(data, tensor):
        if number == TYPE and isinstance(value, int):
            kind = value
        elif isinstance(value, tuple) and number in (NAME, RAW, FLOATS):
            if number == NAME:
                name = data[value[0] : value[1]].decode("utf-8", "replace")
            else:
                content = value
    if kind not in TYPES or content[0] == content[1]:
        return None
    dtype, size = TYPES[kind]
    numbers = np.frombuffer(data, dtype, (content[1] - content[0]) // size, content[0])
    with np.errstate(over="ignore", invalid="ignore"):
        total = numbers.sum()
    return None if np.isfinite(total) or np.isfinite(numbers).all() else name or "without a name"


def _spans(data: mmap.mmap, within: Span, field: int) -> Iterator[Span]:
    """The start and end of each length-delimited field with a number."""
    for number, value in _fields(data, within):
        if number == field and isinstance(value, tuple):
            yield value


def _fields(data: mmap.mmap, within: Span) -> Iterator[tuple[int, int | Span]]:
    """The fields of a message: number, and value or start and end."""
    offset, end = within
    while offset < end:
        key, offset = _varint(data, offset)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, offset = _varint(data, offset)
            yield number, value
            continue
        length = {EIGHT_BYTES: 8, FOUR_BYTES: 4}.get(kind, -1)
        if kind == SPAN:
            length, offset = _varint(data, offset)
        if length < 0 or offset + length > end:
            raise ValueError("not a valid protobuf message")
        yield number, (offset, offset + length)
        offset += length


def _varint(data: mmap.mmap, offset: int) -> tuple[int, int]:
    """A variable-length integer and the offset after it."""
    value = shift = 0
    while True:
        byte = data[offset]
        value |= (byte & 127) << shift
        offset, shift = offset + 1, shift + 7
        if byte < 128:
            return value, offset
        if shift > 63:
            raise ValueError("not a valid protobuf integer")
