"""Float32 rows in a cache file next to the runs: written once in chunks, and read through a memory map."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mtlkit.data.batching import Rows
from mtlkit.errors import UsageError
from mtlkit.inference.engine import Array
from mtlkit.runs.store import FEATURES, Arrays, StoreEntry, entry_in, has_shape
from mtlkit.runs.store import RowStream as FileRows


class DiskRows:
    """Rows of a memory-mapped file, (R, D): only requested rows are read, adjacent ones as one slice."""

    def __init__(self, rows: Array, device: torch.device) -> None:
        self.rows, self.device = np.asarray(rows), device

    def take(self, rows: Rows) -> Tensor:
        edges = np.flatnonzero(np.diff(rows) != 1)
        starts, ends = rows[np.append(0, edges + 1)].tolist(), rows[np.append(edges, -1)].tolist()
        parts = [self.rows[start : end + 1] for start, end in zip(starts, ends, strict=True)]
        return torch.from_numpy(np.concatenate(parts)).to(self.device)


def kept_rows(place: Path, key: str, shape: tuple[int, int], parts: Callable[[], Iterable[Array]]) -> tuple[Array, Path, bool]:
    """Returns the cached rows for a key in `place`, their file, and whether it existed; if not, writes it from `parts`.

    Raises UsageError if the disk is full or not writable: a silent fallback to memory, which is too small, would fail later.
    """
    file = entry_in(place / FEATURES, FEATURES, key)

    def is_sound(arrays: Arrays) -> bool:
        return has_shape(arrays.get("rows"), "<f4", *shape)

    stored = file.read(is_sound, mapped=True)
    if stored is not None:
        return stored["rows"], file.path, True
    try:
        _write(file, shape, parts)
        stored = file.read(is_sound, mapped=True)
        if stored is None:
            raise OSError(None, f"{file.path.name} did not stay what was written")
    except OSError as error:
        raise UsageError(
            f"{place} cannot take the {megabytes(_size(shape))} of features of the frozen backbone ({error.strerror or error}); "
            "make room there, keep more in memory with --cache-memory, or name another place with --out"
        ) from None
    return stored["rows"], file.path, False


def megabytes(size: int) -> str:
    """Formats a number of bytes."""
    return f"{size / 1e6:,.1f} MB"


def _size(shape: tuple[int, int]) -> int:
    return 4 * shape[0] * shape[1]


def _write(file: StoreEntry, shape: tuple[int, int], parts: Callable[[], Iterable[Array]]) -> None:
    """Writes the file after checking free space, so that a full disk is reported at once. Raises OSError."""
    file.path.parent.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(file.path.parent).free < _size(shape):
        raise OSError(None, "not enough room on the disk")
    file.write({"rows": FileRows(shape, parts())})
