"""What may fail on a disk, each in one function: writing, syncing, renaming, exchanging two folders."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import BinaryIO

UNFINISHED = ".unfinished"  # ends the name of a file that is being written beside its place
HERE, EXCHANGE = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of Linux
UNABLE = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM}  # what systems answer that cannot exchange


def write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def rename(source: Path, target: Path) -> None:
    source.rename(target)


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """A new file to write. At the end of the block it is synced and takes the place of `path` in one step; if the block or the
    disk fails, `path` stays as it was. Raises OSError."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.", suffix=UNFINISHED)
    beside = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        settle(beside)
        rename(beside, path)
        sync(path.parent)
    finally:
        beside.unlink(missing_ok=True)


def exchange(one: Path, other: Path) -> bool:
    """Two folders change names in one step, so that nobody ever sees a place empty. False where the system cannot."""
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
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


def put(folder: Path, place: Path) -> None:
    """Gives a settled folder its place. What stood there is removed last.

    Without an exchange there is a moment with nothing at `place`; `restore` mends what a kill then leaves.
    """
    old = folder
    if not place.exists():
        rename(folder, place)
    elif not exchange(folder, place):
        old = Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{place.name}.old."))
        try:
            rename(place, old / place.name)
            try:
                rename(folder, place)
            except BaseException:
                rename(old / place.name, place)
                raise
        except BaseException:
            with suppress(OSError):
                old.rmdir()
            raise
    try:
        sync(place.parent)
    finally:
        shutil.rmtree(old, ignore_errors=True)


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
