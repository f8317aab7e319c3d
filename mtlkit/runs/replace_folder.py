"""Replaces a folder in one step where the system can (renameat2), otherwise with two renames that a later call can recover."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from glob import escape
from pathlib import Path

from mtlkit.runs import atomic as disk

AT_FDCWD, RENAME_EXCHANGE = -100, 2  # from Linux's headers
UNSUPPORTED = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM}  # from systems without RENAME_EXCHANGE


def exchange(source: Path, target: Path) -> bool:
    """Swaps two folders atomically, so that neither path is ever missing. False if the system cannot. Raises OSError."""
    renameat2 = None if disk.WINDOWS else getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    if renameat2(AT_FDCWD, os.fsencode(source), AT_FDCWD, os.fsencode(target), ctypes.c_uint(RENAME_EXCHANGE)) == 0:
        return True
    if (number := ctypes.get_errno()) in UNSUPPORTED:
        return False
    raise OSError(number, os.strerror(number), str(target))


def replace_folder(source: Path, target: Path, before_removal: Callable[[Path], None] | None = None) -> None:
    """Moves a synced folder to `target`. A folder there is removed last, after `before_removal` was called with its path.

    Without `exchange` there is a moment in which `target` is missing; `restore_replaced` repairs what a kill then leaves. Raises
    OSError.
    """
    old = leftover = source
    if not target.exists():
        disk.rename(source, target)
        disk.sync(target.parent)
        return
    if not exchange(source, target):
        leftover = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.old."))
        old = leftover / target.name
        try:
            _rename_twice(source, target, old)
        except BaseException:
            with suppress(OSError):
                leftover.rmdir()
            raise
    try:
        disk.sync(target.parent)
    finally:
        if before_removal:
            before_removal(old)
        shutil.rmtree(leftover, ignore_errors=True)


def _rename_twice(source: Path, target: Path, old: Path) -> None:
    """Moves `target` to `old` and `source` to `target`; undoes the first if the second fails."""
    disk.rename(target, old)
    try:
        disk.rename(source, target)
    except BaseException:
        disk.rename(old, target)
        raise


def restore_replaced(parent: Path, name: str | None = None) -> None:
    """Moves back the folders that a process killed inside `replace_folder` left aside: that of one name in `parent`, or all.
    Folders that may not be moved are left as they are."""
    pattern = "*" if name is None else escape(name)
    for old in parent.glob(f".{pattern}.old.*/{pattern}"):
        target = parent / old.name
        if old.parent.name.startswith(f".{old.name}.old.") and not os.path.lexists(target):
            with suppress(OSError):
                disk.rename(old, target)
                old.parent.rmdir()
                disk.sync(parent)
