"""A file cache for computed arrays: tokens, teacher vectors, int8 ranges, frozen features, baselines and the parts of `embed`.

Each entry is a safetensors file. Its metadata holds the kind, the key (a digest of everything the content depends on) and the
SHA-256 of the content. Every read checks all three. A damaged file is never used: it is named in a warning and recomputed.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from io import BufferedReader
from math import prod
from pathlib import Path
from typing import TypeAlias

import numpy as np

from mtlkit.config.paths import cache_folder
from mtlkit.errors import IntegrityError
from mtlkit.runs import atomic as disk
from mtlkit.runs.store_format import (
    DIGEST,
    FORMAT,
    METADATA,
    Array,
    blocks,
    hash_of_header,
    header_bytes,
    is_finite,
    make_header,
    read_arrays,
    read_header,
)

LOG = logging.getLogger(__name__)
TOKENS, TEACHER, INT8, FEATURES, BASELINES, PART = "tokens", "teacher", "int8", "features", "baselines", "part"  # kinds
PREDICTIONS = "predictions"  # outputs of heads for evaluated rows
DUPLICATES = "duplicates"  # texts of a corpus that repeat earlier ones
USER_CACHE_KINDS = (TOKENS, TEACHER, INT8, PREDICTIONS, DUPLICATES)  # kinds stored in the user's cache folder
SUFFIX = ".safetensors"
CACHE = ".cache"  # the folder beside runs with what other trainings can reuse
KEY_DIGITS = 32  # of a key, in a file name

Arrays: TypeAlias = dict[str, Array]
Check: TypeAlias = Callable[[Arrays], bool]


@dataclass(frozen=True)
class RowStream:
    """A float32 array (R, D) that is written in blocks of rows, so that it need not fit into memory."""

    shape: tuple[int, int]
    blocks: Iterable[Array]

    dtype = np.dtype(np.float32)


def cache_key(*parts: str) -> str:
    """The key of an entry: SHA-256 of some strings and of where one ends and the next begins."""
    return sha256(json.dumps(parts).encode()).hexdigest()


def user_entry(kind: str, key: str) -> StoreEntry:
    """The entry of a key in the user's cache folder."""
    return entry_in(cache_folder() / kind, kind, key)


def entry_in(folder: Path, kind: str, key: str) -> StoreEntry:
    """The entry of a key in a folder."""
    return StoreEntry(folder / f"{key[:KEY_DIGITS]}{SUFFIX}", kind, key)


@dataclass(frozen=True)
class Stored:
    """Arrays from the store; `reused` if they were there already."""

    arrays: Arrays
    reused: bool


@dataclass(frozen=True)
class StoreEntry:
    """One file of the store, whether it exists or not."""

    path: Path
    kind: str
    key: str

    def get(self, make: Callable[[], Arrays], check: Check) -> Stored:
        """The stored arrays if they pass `check`; otherwise those that `make` computes, which are then stored if possible."""
        arrays = self.read(check)
        if arrays is not None:
            return Stored(arrays, reused=True)
        arrays = make()
        self.keep(arrays)
        return Stored(arrays, reused=False)

    def get_mapped(self, make: Callable[[], Mapping[str, Array | RowStream]], check: Check) -> Stored:
        """Like `get`, but arrays are memory-mapped, and what `make` computes need not fit into memory. Raises OSError if the file
        cannot be written.
        """
        arrays = self.read(check, mapped=True)
        if arrays is not None:
            return Stored(arrays, reused=True)
        self.write(make())
        arrays = self.read(check, mapped=True)
        if arrays is None:
            raise OSError(None, f"{self.path.name} was damaged after it was written")
        return Stored(arrays, reused=False)

    def keep(self, arrays: Mapping[str, Array]) -> None:
        """Like `write`, but ignores a file that cannot be written. Raises IntegrityError."""
        try:
            self.write(arrays)
        except OSError:
            return

    def write(self, arrays: Mapping[str, Array | RowStream]) -> None:
        """Writes the file atomically. Raises OSError, also before anything is computed if the disk has too little free space, and
        IntegrityError for arrays with NaN or infinity.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(self.path.parent).free < sum(prod(array.shape) * array.dtype.itemsize for array in arrays.values()):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
        disk.remove_unfinished(self.path.parent)
        ordered = sorted(arrays.items(), key=lambda item: (-item[1].dtype.itemsize, item[0]))
        header = make_header(self.kind, self.key, ordered)
        content_hash = hash_of_header(header)
        with disk.atomic_file(self.path) as file:
            file.write(header_bytes(header))
            for name, array in ordered:
                for rows in array.blocks if isinstance(array, RowStream) else [array]:
                    for block in blocks(np.ascontiguousarray(rows, array.dtype)):
                        if not is_finite(block):
                            raise IntegrityError(f"{self.path}: '{name}' was not stored because it contains NaN or infinity")
                        content_hash.update(block.data)
                        file.write(block.data)
            header[METADATA][DIGEST] = content_hash.hexdigest()
            file.seek(0)
            file.write(header_bytes(header))

    def read(self, check: Check, *, mapped: bool = False) -> Arrays | None:
        """The arrays of the file, memory-mapped with `mapped`. None without a warning if the file does not exist; None with a
        warning if it is damaged, has another key, or does not pass `check`."""
        try:
            if not stat.S_ISREG(self.path.stat().st_mode):
                raise ValueError("is not a regular file")
            with self.path.open("rb") as file:
                arrays = self._read(file, mapped)
            if not check(arrays):
                raise ValueError("has unexpected content")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            self.warn_ignored(f"cannot be read ({error.strerror or error})")
        except ValueError as error:
            self.warn_ignored(str(error))
        else:
            return arrays
        return None

    def warn_ignored(self, reason: str) -> None:
        """Warns that the file is not used, and why."""
        LOG.warning("%s %s; ignoring it and recomputing", self.path, reason)

    def _read(self, file: BufferedReader, mapped: bool) -> Arrays:
        header, start = read_header(file)
        metadata = header[METADATA]
        if metadata["format"] != FORMAT:
            raise ValueError(f"was written by another version of mtlkit (format {metadata['format']!r:.20})")
        if (metadata["kind"], metadata["key"]) != (self.kind, self.key):
            raise ValueError("belongs to other inputs (its key differs)")
        return read_arrays(file, header, start, mapped)


def has_shape(array: Array | None, dtype: str, *shape: int | None) -> bool:
    """Whether an array exists and has this dtype and shape, where None stands for any length. For use in a `Check`."""
    if array is None or array.dtype != np.dtype(dtype) or array.ndim != len(shape):
        return False
    return all(expected in (None, length) for length, expected in zip(array.shape, shape, strict=True))
