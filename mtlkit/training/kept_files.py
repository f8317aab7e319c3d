"""Rows of float32 in a file beside the runs: written once, part by part, checked, and read through a memory map."""

from __future__ import annotations

import shutil
import tempfile
import time
import zlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mtlkit.data.batching import Rows
from mtlkit.data.vectors import vector_file
from mtlkit.errors import DataError, UsageError
from mtlkit.inference.engine import Array

PIECE = 4096  # rows that are checked at a time
BESIDE = ".making."  # how the name of a folder begins in which a file is written
LEFT_BEHIND = 3600.0  # seconds without a write after which such a folder belongs to a training that was killed


class OnDisk:
    """Rows of a file, (R, D): only those that are asked for are read, neighbours as one slice."""

    def __init__(self, path: Path, device: torch.device) -> None:
        self.path, self.device = path, device
        self.rows: Array = np.asarray(np.load(path, mmap_mode="r"))

    def take(self, rows: Rows) -> Tensor:
        edges = np.flatnonzero(np.diff(rows) != 1)
        starts, ends = rows[np.append(0, edges + 1)].tolist(), rows[np.append(edges, -1)].tolist()
        parts = [self.rows[start : end + 1] for start, end in zip(starts, ends, strict=True)]
        return torch.from_numpy(np.concatenate(parts)).to(self.device)


def kept_file(place: Path, key: str, shape: tuple[int, int], parts: Callable[[], Iterable[Array]]) -> tuple[Path, bool]:
    """The file that `place` has for a key, and whether it was there already; otherwise it is made of `parts`.

    The checksum of all rows stands in the name, so that one that is damaged is noticed and made anew. Raises UsageError where
    there is no room or no right to write: to keep it in memory after all, where it does not fit, would end the training later and
    without a word.
    """
    try:
        for path in sorted(place.glob(f"{key}-*.npy")):
            if _sound(path, shape):
                return path, True
            path.unlink(missing_ok=True)
        return _make(place, key, shape, parts), False
    except (OSError, DataError) as error:
        raise UsageError(
            f"{place} cannot take the {megabytes(4 * shape[0] * shape[1])} that are kept of the frozen backbone "
            f"({_reason(error)}); make room there, keep more in memory with --cache-memory, or name another place with --out"
        ) from None


def megabytes(size: int) -> str:
    """Bytes in words."""
    return f"{size / 1e6:,.1f} MB"


def _reason(error: OSError | DataError) -> str:
    """Why a file could not be written, without its name, which is a passing one."""
    return (error.strerror if isinstance(error, OSError) else str(error).rpartition(": ")[2]) or str(error)


def _sound(path: Path, shape: tuple[int, int]) -> bool:
    try:
        rows = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError):
        return False
    if rows.shape != shape or rows.dtype != np.dtype("<f4") or not rows.flags.c_contiguous:
        return False
    checksum = 0
    for start in range(0, len(rows), PIECE):
        checksum = zlib.crc32(rows[start : start + PIECE].data, checksum)
    return path.name.endswith(f"-{checksum:08x}.npy")


def _make(place: Path, key: str, shape: tuple[int, int], parts: Callable[[], Iterable[Array]]) -> Path:
    """Written beside, synced, and renamed when it is whole."""
    place.mkdir(parents=True, exist_ok=True)
    _sweep(place)
    if shutil.disk_usage(place).free < 4 * shape[0] * shape[1]:  # known now, and not after hours
        raise OSError(None, "not enough room on the disk")
    with tempfile.TemporaryDirectory(dir=place, prefix=BESIDE) as folder:
        beside = Path(folder) / "rows.npy"
        checksum = 0
        with vector_file(beside, shape[1]) as writer:
            for part in parts():
                writer.add((), part)
                checksum = zlib.crc32(part.data, checksum)
        return beside.replace(place / f"{key}-{checksum:08x}.npy")


def _sweep(place: Path) -> None:
    """Removes what trainings left behind that were killed while they wrote."""
    for folder in place.glob(f"{BESIDE}*"):
        with suppress(OSError):
            written = max(path.stat().st_mtime for path in (folder, *folder.iterdir()))
            if time.time() - written > LEFT_BEHIND:
                shutil.rmtree(folder)
