"""Advisory locks (flock) on single files: whether a running process still reads or writes them."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # Windows, where an open file cannot be removed anyway
    fcntl = None  # type: ignore[assignment]

STALE_AFTER = 3600.0  # seconds; on file systems without locks, the writer of an older file is presumed dead


def lock_exclusive(file: BinaryIO) -> bool:
    """Marks a file as being written until it is closed or its process ends. False if another process has locked it."""
    return _flock(file, shared=False)


def lock_shared(file: BinaryIO) -> None:
    """Marks a file as being read for as long as it, or a memory map of it, is open."""
    _flock(file, shared=True)


def in_use(path: Path) -> bool:
    """Whether a running process has locked a regular file. Always False on Windows, where removing such a file fails."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return False
        with path.open("rb") as file:
            return not lock_exclusive(file)
    except OSError:
        return False


def _flock(file: BinaryIO, shared: bool) -> bool:
    if fcntl is not None:
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # a file system without locks
            return time.time() - os.fstat(file.fileno()).st_mtime > STALE_AFTER
    return True
