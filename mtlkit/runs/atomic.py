"""What may fail on a disk, each in one function: writing, syncing, renaming, exchanging two folders."""

from __future__ import annotations

import ctypes
import errno
import os
import re
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import BinaryIO

from safetensors import SafetensorError

from mtlkit.errors import SavingError

FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}  # a disk, a file, what a user may fill
WRITE_ERRORS = (OSError, SafetensorError)  # what a full disk raises, by way of Python or of safetensors
WINDOWS = sys.platform == "win32"
UNFINISHED = ".unfinished"  # ends the name of a file that is being written beside its place
JUST_MADE, LEFT_BEHIND = 10.0, 3600.0  # seconds: its writer may not hold it yet; without locks, its writer must be dead
try:
    import fcntl
except ImportError:  # Windows, where a file that is open cannot be removed anyway
    fcntl = None  # type: ignore[assignment]

HERE, EXCHANGE = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of Linux
UNABLE = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM}  # what systems answer that cannot exchange


def write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def sync(path: Path) -> None:
    """Asks the disk to keep a file, or the names in a folder. Windows has no such thing for folders, and none for files that are
    opened to be read."""
    if WINDOWS and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDWR if WINDOWS else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def rename(source: Path, target: Path) -> None:
    source.replace(target)  # Windows' rename refuses a file that exists


def reason(error: OSError | SafetensorError) -> str:
    """Why a file could not be written: "No space left on device". safetensors says it in its own words."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return re.sub(r"^.*I/O error: | \(os error \d+\)$", "", str(error))


@contextmanager
def saving(path: Path, way: str = "make room or name another place, and run this again") -> Iterator[None]:
    """While `path` is written: what the disk refuses, whichever library tells of it, ends in one line. Raises SavingError."""
    try:
        yield
    except WRITE_ERRORS as error:
        if isinstance(error, OSError) and error.errno is None:  # no answer of a disk
            raise
        raise SavingError(f"{path} cannot be saved: {reason(error)}; {way}") from None


@contextmanager
def atomic_file(path: Path, folder: Path | None = None) -> Iterator[BinaryIO]:
    """A new file to write, beside its place or in a `folder` on the same disk. At the end of the block it is synced and takes the
    place of `path` in one step; if the block or the disk fails, `path` stays as it was. Raises OSError."""
    handle, name = tempfile.mkstemp(dir=folder or path.parent, prefix=f".{path.name[:100]}.", suffix=UNFINISHED)
    beside = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            _hold(file)
            yield file
        settle(beside)
        rename(beside, path)
        sync(path.parent)
    finally:
        beside.unlink(missing_ok=True)


def _hold(file: BinaryIO) -> bool:
    """Marks a file as being written until it is closed or its process dies. False where another process holds it."""
    return _flock(file, shared=False)


def share(file: BinaryIO) -> None:
    """Marks a file as being read, as long as it or a map of it is open: `in_use` says so."""
    _flock(file, shared=True)


def _flock(file: BinaryIO, shared: bool) -> bool:
    if fcntl is not None:
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # a file system without locks
            return time.time() - os.fstat(file.fileno()).st_mtime > LEFT_BEHIND
    return True


def in_use(path: Path) -> bool:
    """Whether a running process holds a regular file, to write or to read it. On Windows: False, and removing it fails."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return False
        with path.open("rb") as file:
            return not _hold(file)
    except OSError:
        return False


def unfinished(folder: Path) -> list[Path]:
    """What killed processes left half written in a folder."""
    return [path for path in folder.glob(f".*{UNFINISHED}") if _is_abandoned(path)]


def remove_unfinished(folder: Path) -> None:
    for path in unfinished(folder):
        with suppress(OSError):  # on Windows: somebody writes it
            path.unlink()


def _is_abandoned(path: Path) -> bool:
    try:
        return time.time() - path.lstat().st_mtime > JUST_MADE and not in_use(path)
    except OSError:
        return False


def exchange(one: Path, other: Path) -> bool:
    """Two folders change names in one step, so that nobody ever sees a place empty. False where the system cannot."""
    call = None if WINDOWS else getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None:
        return False
    if call(HERE, os.fsencode(one), HERE, os.fsencode(other), ctypes.c_uint(EXCHANGE)) == 0:
        return True
    if (number := ctypes.get_errno()) in UNABLE:
        return False
    raise OSError(number, os.strerror(number), str(other))


def settle(folder: Path) -> None:
    """Gives a folder with all that it holds, or a file, the modes that the umask allows, and syncs it."""
    umask = os.umask(0)
    os.umask(umask)
    for path in [*folder.rglob("*"), folder]:
        path.chmod((0o777 if path.is_dir() else 0o666) & ~umask)
        sync(path)


def put(folder: Path, place: Path, keep: Callable[[Path], None] | None = None) -> None:
    """Gives a settled folder its place. What was there is removed last, after `keep` has looked at it.

    Without an exchange there is a moment with nothing at `place`; `restore` mends what a kill then leaves.
    """
    old = aside = folder
    if not place.exists():
        rename(folder, place)
        sync(place.parent)
        return
    if not exchange(folder, place):
        aside = Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{place.name}.old."))
        old = aside / place.name
        try:
            rename(place, old)
            try:
                rename(folder, place)
            except BaseException:
                rename(old, place)
                raise
        except BaseException:
            with suppress(OSError):
                aside.rmdir()
            raise
    try:
        sync(place.parent)
    finally:
        if keep:
            keep(old)
        shutil.rmtree(aside, ignore_errors=True)


def restore(parent: Path, name: str | None = None) -> None:
    """Puts back what a process that was killed inside `put` had moved aside, of one place in `parent` or of all.
    Where that is not allowed, it stays aside."""
    one = "*" if name is None else escape(name)
    for old in parent.glob(f".{one}.old.*/{one}"):
        place = parent / old.name
        if old.parent.name.startswith(f".{old.name}.old.") and not os.path.lexists(place):
            with suppress(OSError):
                rename(old, place)
                old.parent.rmdir()
                sync(parent)
