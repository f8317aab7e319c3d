"""One store for what is computed once and kept: tokens, teacher vectors, int8 ranges, frozen features, baselines and the finished
parts of `embed`.

A file is safetensors. Its metadata holds the kind, the key (a digest of all that the content follows from), and the SHA-256 of
the content. Every read checks all of it. A file that is not what was written is named in a warning and computed again, never
used.
"""

from __future__ import annotations

import json
import logging
import os
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from io import BufferedReader
from math import prod
from pathlib import Path
from typing import TypeAlias

import numpy as np
import platformdirs

from mtlkit.errors import IntegrityError
from mtlkit.runs import atomic as disk
from mtlkit.runs.store_format import (
    ABOUT,
    DIGEST,
    FORMAT,
    Array,
    begun,
    blocks,
    described,
    is_finite,
    layout,
    packed,
    read_header,
)

LOG = logging.getLogger(__name__)
TOKENS, TEACHER, INT8, FEATURES, BASELINES, PART = "tokens", "teacher", "int8", "features", "baselines", "part"  # kinds
OF_THE_USER = (TOKENS, TEACHER, INT8)  # kinds that are kept in the user's cache folder
SUFFIX = ".safetensors"
CACHE = ".cache"  # the folder beside runs for what other trainings may use again
DIGITS = 32  # of a key, in the name of a file

Arrays: TypeAlias = dict[str, Array]
Check: TypeAlias = Callable[[Arrays], bool]


@dataclass(frozen=True)
class RowStream:
    """An array (R, D) of float32 that is written part by part, so that it need not fit into memory."""

    shape: tuple[int, int]
    parts: Iterable[Array]

    dtype = np.dtype(np.float32)


def cache_folder() -> Path:
    """The user's cache folder: $MTLKIT_CACHE, else the system's."""
    return Path(os.environ.get("MTLKIT_CACHE") or platformdirs.user_cache_path("mtlkit"))


def digest(*parts: str) -> str:
    """SHA-256 of some texts and their borders, to make keys of."""
    return sha256(json.dumps(parts).encode()).hexdigest()


def user_entry(kind: str, key: str) -> StoreEntry:
    """The file that the user's cache folder has for a key."""
    return entry(cache_folder() / kind, kind, key)


def entry(folder: Path, kind: str, key: str) -> StoreEntry:
    """The file that a folder has for a key."""
    return StoreEntry(folder / f"{key[:DIGITS]}{SUFFIX}", kind, key)


@dataclass(frozen=True)
class StoreEntry:
    """One file of the store, there or not."""

    path: Path
    kind: str
    key: str

    def get(self, make: Callable[[], Arrays], check: Check) -> Arrays:
        """What the file holds; otherwise what `make` computes, which is kept for the next time where the disk allows it."""
        stored = self.read(check)
        if stored is None:
            stored = make()
            self.keep(stored)
        return stored

    def keep(self, arrays: Mapping[str, Array]) -> None:
        """`write`, where a file that cannot be written is no reason to stop. Raises IntegrityError."""
        try:
            self.write(arrays)
        except OSError:
            return

    def write(self, arrays: Mapping[str, Array | RowStream]) -> None:
        """Writes the file beside its place, syncs and renames it. Raises OSError, and IntegrityError for numbers that are not
        finite."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        disk.remove_unfinished(self.path.parent)
        ordered = sorted(arrays.items(), key=lambda item: (-item[1].dtype.itemsize, item[0]))
        header = described(self.kind, self.key, ordered)
        total = begun(header)
        with disk.atomic_file(self.path) as file:
            file.write(packed(header))
            for name, array in ordered:
                for part in array.parts if isinstance(array, RowStream) else [array]:
                    for block in blocks(np.ascontiguousarray(part, array.dtype)):
                        if not is_finite(block):
                            raise IntegrityError(f"{self.path}: '{name}' is not stored, as it holds numbers that are not finite")
                        total.update(block.data)
                        file.write(block.data)
            header[ABOUT][DIGEST] = total.hexdigest()
            file.seek(0)
            file.write(packed(header))

    def read(self, check: Check, *, mapped: bool = False) -> Arrays | None:
        """The arrays of the file, those of a file that is `mapped` as views of the disk, which take no memory. None, with a
        warning, where the file is damaged, made of something else, or does not pass `check`; None where there is none."""
        try:
            if not stat.S_ISREG(self.path.stat().st_mode):
                raise ValueError("is not a regular file")
            with self.path.open("rb") as file:
                arrays = self._read(file, mapped)
            if not check(arrays):
                raise ValueError("does not hold what it should")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            self.report(f"cannot be read ({error.strerror or error})")
        except ValueError as error:
            self.report(str(error))
        else:
            return arrays
        return None

    def report(self, fault: str) -> None:
        """Warns that the file is not used, and why."""
        LOG.warning("%s %s; ignoring it and computing it again", self.path, fault)

    def _read(self, file: BufferedReader, mapped: bool) -> Arrays:
        header, start = read_header(file)
        about = header[ABOUT]
        if about["format"] != FORMAT:
            raise ValueError(f"was written by another version of mtlkit (format {about['format']!r:.20})")
        if (about["kind"], about["key"]) != (self.kind, self.key):
            raise ValueError("was made from something else than it should be")
        total = begun(header)
        arrays: Arrays = {}
        for name, (dtype, shape, begin) in layout(header, os.fstat(file.fileno()).st_size - start).items():
            if mapped and prod(shape) > 0:
                disk.share(file)
                arrays[name] = np.memmap(file, dtype, "r", start + begin, shape)
            else:
                arrays[name] = np.empty(shape, dtype)
            file.seek(start + begin)
            for block in blocks(arrays[name]):
                target = np.empty(block.shape, dtype) if mapped else block
                if file.readinto(target.data) != target.nbytes:
                    raise ValueError("is cut short")
                total.update(target.data)
                if not is_finite(target):
                    raise ValueError(f"holds numbers that are not finite in '{name}'")
        if total.hexdigest() != about[DIGEST]:
            raise ValueError(f"is damaged: SHA-256 of its content is {total.hexdigest()}, it says {str(about[DIGEST])[:64]}")
        return arrays


def fits(array: Array | None, dtype: str, *shape: int | None) -> bool:
    """Whether an array is there, of this type and shape; None is any length. For checks."""
    if array is None or array.dtype != np.dtype(dtype) or array.ndim != len(shape):
        return False
    return all(wanted in (None, length) for length, wanted in zip(array.shape, shape, strict=True))
