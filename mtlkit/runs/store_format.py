"""The files of the store: safetensors, with a digest of the content in the header, checked before a number is used."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from io import BufferedReader
from math import prod
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mtlkit.config.from_json import parse_object

FORMAT = "1"  # raised when the layout of the files changes
ABOUT, DIGEST = "__metadata__", "sha256"
LONGEST_HEADER = 1 << 20  # bytes
BLOCK = 1 << 20  # numbers that are hashed at a time
ALIGNED = 64  # bytes
DTYPES = {"F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U32": "<u4", "U16": "<u2", "U8": "|u1"}
NAMES = {np.dtype(dtype): name for name, dtype in DTYPES.items()}

Array: TypeAlias = NDArray[Any]


class Described(Protocol):
    """An array, or what will be one when it is written."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...


def described(kind: str, key: str, arrays: Sequence[tuple[str, Described]]) -> dict[str, Any]:
    """The header of a file whose digest is not known yet."""
    header: dict[str, Any] = {ABOUT: {"format": FORMAT, "kind": kind, "key": key, DIGEST: "0" * 64}}
    end = 0
    for name, array in arrays:
        begin, end = end, end + prod(array.shape) * array.dtype.itemsize
        header[name] = {"dtype": NAMES[array.dtype], "shape": list(array.shape), "data_offsets": [begin, end]}
    return header


def packed(header: dict[str, Any]) -> bytes:
    """The length of the header, and the header, padded so that the data is aligned."""
    text = json.dumps(header).encode()
    text = text.ljust(-(-(len(text) + 8) // ALIGNED) * ALIGNED - 8)
    return len(text).to_bytes(8, "little") + text


def begun(header: dict[str, Any]) -> Any:
    """A SHA-256 that has taken all of the header but the digest in it."""
    return sha256(json.dumps({**header, ABOUT: {**header[ABOUT], DIGEST: ""}}, sort_keys=True).encode())


def read_header(file: BufferedReader) -> tuple[dict[str, Any], int]:
    """The header, and where the data starts. Raises ValueError for a file that the store did not write."""
    length = int.from_bytes(file.read(8), "little")
    try:
        if length > LONGEST_HEADER:
            raise ValueError
        header = parse_object(file.read(length))
        if not {"format", "kind", "key", DIGEST} <= header[ABOUT].keys():
            raise KeyError(ABOUT)
    except (ValueError, KeyError, AttributeError):
        raise ValueError("is not a cache file of this version of mtlkit, or its header is damaged") from None
    return header, 8 + length


def layout(header: Mapping[str, Any], size: int) -> dict[str, tuple[np.dtype[Any], tuple[int, ...], int]]:
    """Type, shape and place of each array. Raises ValueError where they do not fit the file."""
    found = {}
    end = 0
    try:
        for name, one in header.items():
            if name != ABOUT:
                dtype, shape = np.dtype(DTYPES[one["dtype"]]), tuple(map(int, one["shape"]))
                begin, end = end, end + prod(shape) * dtype.itemsize
                if [begin, end] != one["data_offsets"] or min(shape, default=0) < 0:
                    raise ValueError
                found[name] = dtype, shape, begin
    except (ValueError, TypeError, KeyError, OverflowError):
        raise ValueError("is damaged in its header") from None
    if end != size:
        raise ValueError(f"is damaged: {size} bytes of data, and not {end}")
    return found


def blocks(array: Array) -> Iterator[Array]:
    """The array in pieces of one dimension, without a copy."""
    flat = array.reshape(-1)
    return (flat[start : start + BLOCK] for start in range(0, flat.size, BLOCK))


def is_finite(block: Array) -> bool:
    return block.dtype.kind != "f" or bool(np.isfinite(block).all())
