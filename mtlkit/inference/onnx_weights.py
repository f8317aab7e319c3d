"""Looks for NaN and infinity among the weights stored in an ONNX file.

Reads the few fields of the format that this takes, so that no package but NumPy is needed.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mtlkit.errors import IntegrityError

# Numbers of fields: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
GRAPH, INITIALIZER = 7, 5
TYPE, FLOATS, NAME, RAW = 2, 4, 8, 9
TYPES: dict[int, tuple[Any, int]] = {1: ("<f4", 4), 10: ("<f2", 2), 11: ("<f8", 8)}  # NumPy's name, and the bytes of a number
VARINT, EIGHT_BYTES, SPAN, FOUR_BYTES = 0, 1, 2, 5

Span = tuple[int, int]


def check_weights(path: Path) -> None:
    """Raises IntegrityError for a file that cannot be read, and naming the first weight with NaN or infinity."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            for graph in _spans(data, (0, len(data)), GRAPH):
                for tensor in _spans(data, graph, INITIALIZER):
                    if name := _not_finite(data, tensor):
                        raise IntegrityError(f"{path}: weight '{name}' has numbers that are NaN or infinite; the file is damaged")
    except (OSError, IndexError, ValueError) as error:  # also of an empty file
        raise IntegrityError(f"{path}: not a readable ONNX graph ({error})") from None


def _not_finite(data: mmap.mmap, tensor: Span) -> str | None:
    """The name of a tensor with numbers that are not finite."""
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


def _spans(data: mmap.mmap, within: Span, wanted: int) -> Iterator[Span]:
    """Where each field of a number begins and ends."""
    for number, value in _fields(data, within):
        if number == wanted and isinstance(value, tuple):
            yield value


def _fields(data: mmap.mmap, within: Span) -> Iterator[tuple[int, int | Span]]:
    """The fields of a message: its number, and its value or where that begins and ends."""
    place, end = within
    while place < end:
        key, place = _varint(data, place)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, place = _varint(data, place)
            yield number, value
            continue
        length = {EIGHT_BYTES: 8, FOUR_BYTES: 4}.get(kind, -1)
        if kind == SPAN:
            length, place = _varint(data, place)
        if length < 0 or place + length > end:
            raise ValueError("not a message of ONNX")
        yield number, (place, place + length)
        place += length


def _varint(data: mmap.mmap, place: int) -> tuple[int, int]:
    """A number of variable length, and where it ends."""
    value = shift = 0
    while True:
        byte = data[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place
        if shift > 63:
            raise ValueError("not a number of ONNX")
