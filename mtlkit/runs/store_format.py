"""The file format of the store: safetensors with the SHA-256 of the content in the metadata."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from io import BufferedReader
from math import prod
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mtlkit.config.from_json import parse_object
from mtlkit.runs.file_locks import lock_shared

FORMAT = "1"  # incremented when the file format changes
METADATA, DIGEST = "__metadata__", "sha256"
MAX_HEADER = 1 << 20  # bytes
BLOCK = 1 << 20  # numbers hashed at a time
ALIGNMENT = 64  # bytes
DTYPES = {"F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U32": "<u4", "U16": "<u2", "U8": "|u1"}
NAMES = {np.dtype(dtype): name for name, dtype in DTYPES.items()}

Array: TypeAlias = NDArray[Any]


class HasShape(Protocol):
    """An array, or rows that are computed while they are written."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...


def make_header(kind: str, key: str, arrays: Sequence[tuple[str, HasShape]]) -> dict[str, Any]:
    """The header of a file, with zeros in place of the digest, which is only known after writing."""
    header: dict[str, Any] = {METADATA: {"format": FORMAT, "kind": kind, "key": key, DIGEST: "0" * 64}}
    end = 0
    for name, array in arrays:
        begin, end = end, end + prod(array.shape) * array.dtype.itemsize
        header[name] = {"dtype": NAMES[array.dtype], "shape": list(array.shape), "data_offsets": [begin, end]}
    return header


def header_bytes(header: dict[str, Any]) -> bytes:
    """The length of the header and the header itself, padded so that the data is aligned."""
    text = json.dumps(header).encode()
    text = text.ljust(-(-(len(text) + 8) // ALIGNMENT) * ALIGNMENT - 8)
    return len(text).to_bytes(8, "little") + text


def hash_of_header(header: Mapping[str, Any]) -> Any:
    """A SHA-256 object updated with the header, without the digest in it."""
    return sha256(json.dumps({**header, METADATA: {**header[METADATA], DIGEST: ""}}, sort_keys=True).encode())


def read_header(file: BufferedReader) -> tuple[dict[str, Any], int]:
    """The header, and the offset of the data in bytes. Raises ValueError for a file that the store did not write."""
    length = int.from_bytes(file.read(8), "little")
    try:
        if length > MAX_HEADER:
            raise ValueError
        header = parse_object(file.read(length))
        if not {"format", "kind", "key", DIGEST} <= header[METADATA].keys():
            raise KeyError(METADATA)
    except (ValueError, KeyError, AttributeError):
        raise ValueError("is not a cache file of this version of mtlkit, or its header is damaged") from None
    return header, 8 + length


def layout(header: Mapping[str, Any], size: int) -> dict[str, tuple[np.dtype[Any], tuple[int, ...], int]]:
    """The dtype, shape and offset in bytes of each array. Raises ValueError if they do not match the file size."""
    arrays = {}
    end = 0
    try:
        for name, entry in header.items():
            if name != METADATA:
                dtype, shape = np.dtype(DTYPES[entry["dtype"]]), tuple(map(int, entry["shape"]))
                begin, end = end, end + prod(shape) * dtype.itemsize
                if [begin, end] != entry["data_offsets"] or min(shape, default=0) < 0:
                    raise ValueError
                arrays[name] = dtype, shape, begin
    except (ValueError, TypeError, KeyError, OverflowError):
        raise ValueError("has a damaged header") from None
    if end != size:
        raise ValueError(f"is damaged ({size} bytes of data, expected {end})")
    return arrays


def blocks(array: Array) -> Iterator[Array]:
    """The array as flat blocks of at most BLOCK numbers, without copying."""
    flat = array.reshape(-1)
    return (flat[start : start + BLOCK] for start in range(0, flat.size, BLOCK))


def is_finite(block: Array) -> bool:
    return block.dtype.kind != "f" or bool(np.isfinite(block).all())


def read_arrays(file: BufferedReader, header: Mapping[str, Any], start: int, mapped: bool) -> dict[str, Array]:
    """The arrays of a file whose data begins at `start`, memory-mapped with `mapped`. Raises ValueError if their digest is not
    the recorded one, or if they contain NaN or infinity.
    """
    content_hash = hash_of_header(header)
    arrays: dict[str, Array] = {}
    for name, (dtype, shape, begin) in layout(header, os.fstat(file.fileno()).st_size - start).items():
        if mapped and prod(shape) > 0:
            lock_shared(file)
            arrays[name] = np.memmap(file, dtype, "r", start + begin, shape)
        else:
            arrays[name] = np.empty(shape, dtype)
        file.seek(start + begin)
        for block in blocks(arrays[name]):
            target = np.empty(block.shape, dtype) if mapped else block
            if file.readinto(target.data) != target.nbytes:
                raise ValueError("is truncated")
            content_hash.update(target.data)
            if not is_finite(target):
                raise ValueError(f"contains NaN or infinity in '{name}'")
    if (digest := content_hash.hexdigest()) != header[METADATA][DIGEST]:
        raise ValueError(f"is damaged (SHA-256 of its content is {digest}, recorded: {str(header[METADATA][DIGEST])[:64]})")
    return arrays
