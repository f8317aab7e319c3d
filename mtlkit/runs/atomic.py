"""Atomic file writes: every operation that can fail on a disk is a function here, so that tests can inject faults."""

from __future__ import annotations

import errno
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from mtlkit.errors import SavingError
from mtlkit.runs.file_locks import in_use, lock_exclusive

DISK_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}  # full disk, file size limit, quota
WINDOWS = sys.platform == "win32"
UNFINISHED = ".unfinished"  # suffix of a temporary file that is being written
MIN_AGE = 10.0  # seconds; a younger temporary file may not be locked by its writer yet


def write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def sync(path: Path) -> None:
    """Flushes a file, or the entries of a folder, to the disk. On Windows, folders cannot be synced and files only when they are
    opened for writing."""
    if WINDOWS and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDWR if WINDOWS else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def rename(source: Path, target: Path) -> None:
    source.replace(target)  # unlike `rename`, it replaces an existing file on Windows too


def write_errors() -> tuple[type[Exception], ...]:
    """What a failed write raises: OSError, or safetensors' own error, which is not imported just to ask for it."""
    safetensors = sys.modules.get("safetensors")
    return (OSError, safetensors.SafetensorError) if safetensors else (OSError,)


def error_reason(error: Exception) -> str:
    """The operating system's message, e.g. "No space left on device", without what safetensors adds around it."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return re.sub(r"^.*I/O error: | \(os error \d+\)$", "", str(error))


@contextmanager
def saving(path: Path, advice: str = "free some space or choose another location, then try again") -> Iterator[None]:
    """Turns write errors raised inside the block into a one-line SavingError that names `path`."""
    try:
        yield
    except write_errors() as error:
        if isinstance(error, OSError) and error.errno is None:  # not raised by the operating system
            raise
        raise SavingError(f"cannot save {path}: {error_reason(error)}; {advice}") from None


@contextmanager
def atomic_file(path: Path, folder: Path | None = None, *, keep_mode: bool = False) -> Iterator[BinaryIO]:
    """A new file that replaces `path` in one step at the end of the block.

    The file is written beside `path` (or in `folder`, on the same file system), synced and renamed. If the block or the disk
    fails, `path` is unchanged. The file mode follows the umask, or that of the replaced file with `keep_mode`. Raises OSError.
    """
    handle, name = tempfile.mkstemp(dir=folder or path.parent, prefix=f".{path.name[:100]}.", suffix=UNFINISHED)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            lock_exclusive(file)
            yield file
        _apply_umask(temporary, _umask())
        if keep_mode:
            shutil.copymode(path, temporary)
        sync(temporary)
        rename(temporary, path)
        sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def sync_tree(folder: Path) -> None:
    """Gives a folder and everything in it the modes that the umask allows, and syncs it all."""
    umask = _umask()
    for path in [*folder.rglob("*"), folder]:
        _apply_umask(path, umask)
        sync(path)


def _umask() -> int:
    umask = os.umask(0)  # it can only be read by setting it
    os.umask(umask)
    return umask


def _apply_umask(path: Path, umask: int) -> None:
    path.chmod((0o777 if path.is_dir() else 0o666) & ~umask)


def unfinished_files(folder: Path) -> list[Path]:
    """Temporary files in a folder whose writer was killed."""
    return [path for path in folder.glob(f".*{UNFINISHED}") if _is_abandoned(path)]


def remove_unfinished(folder: Path) -> None:
    """Removes temporary files whose writer was killed."""
    for path in unfinished_files(folder):
        with suppress(OSError):  # on Windows, a file that is open cannot be removed
            path.unlink()


def _is_abandoned(path: Path) -> bool:
    try:
        return time.time() - path.lstat().st_mtime > MIN_AGE and not in_use(path)
    except OSError:
        return False
