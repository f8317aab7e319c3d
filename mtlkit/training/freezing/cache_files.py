"""Rows of float32 in a cache file beside the runs: written once, part by part, and read through a memory map."""

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
    """Rows of a file, (R, D), as a view of the disk: only those that are asked for are read, neighbours as one slice."""

    def __init__(self, rows: Array, device: torch.device) -> None:
        self.rows, self.device = np.asarray(rows), device

    def take(self, rows: Rows) -> Tensor:
        edges = np.flatnonzero(np.diff(rows) != 1)
        starts, ends = rows[np.append(0, edges + 1)].tolist(), rows[np.append(edges, -1)].tolist()
        parts = [self.rows[start : end + 1] for start, end in zip(starts, ends, strict=True)]
        return torch.from_numpy(np.concatenate(parts)).to(self.device)


def kept_rows(place: Path, key: str, shape: tuple[int, int], parts: Callable[[], Iterable[Array]]) -> tuple[Array, Path, bool]:
    """The rows that `place` has for a key, their file, and whether it was there already; otherwise it is made of `parts`.

    Raises UsageError where there is no room or no right to write: falling back to memory, where it does not fit, would end the
    training later and without a word.
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
    """Bytes in words."""
    return f"{size / 1e6:,.1f} MB"


def _size(shape: tuple[int, int]) -> int:
    return 4 * shape[0] * shape[1]


def _write(file: StoreEntry, shape: tuple[int, int], parts: Callable[[], Iterable[Array]]) -> None:
    """Writes the file if there is room, which is known now, and not after hours. Raises OSError."""
    file.path.parent.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(file.path.parent).free < _size(shape):
        raise OSError(None, "not enough room on the disk")
    file.write({"rows": FileRows(shape, parts())})
