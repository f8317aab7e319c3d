"""An imitation of Windows for code that saves files, where no such system is at hand.

Folders cannot be opened, files can be synced only when opened for writing, a rename does not replace files, folders cannot be
exchanged, and what this process has open can be neither renamed nor removed, nor can a folder that contains it be renamed. A file
that is only mapped into memory can be renamed but not removed.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from mtlkit.runs import atomic as disk
from mtlkit.runs import lock


class RemovedLock(FileLock):
    """A lock whose file is removed after its release, as filelock does on Windows."""

    def release(self, force: bool = False) -> None:
        super().release(force)
        with suppress(OSError):
            os.unlink(self.lock_file)


def imitate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replaces functions of the system until the end of a test."""
    opened, fsync = os.open, os.fsync
    flags: dict[int, int] = {}

    def open_file(path: Any, how: int, *rest: int, **more: int) -> int:
        if Path(path).is_dir():
            raise PermissionError(13, "Permission denied", str(path))
        descriptor = opened(path, how, *rest, **more)
        flags[descriptor] = how
        return descriptor

    def sync_file(descriptor: int) -> None:
        if not flags.get(descriptor, os.O_RDWR) & os.O_RDWR:
            raise OSError(9, "Bad file descriptor")
        fsync(descriptor)

    def no_library(*_: object, **__: object) -> None:
        raise TypeError("bad argument type for built-in operation")  # of CDLL(None)

    monkeypatch.setattr(disk, "WINDOWS", True)
    monkeypatch.setattr(lock, "FileLock", RemovedLock)
    monkeypatch.setattr(shutil, "_use_fd_functions", False)  # it removes folders by opening them
    if hasattr(shutil, "_rmtree_impl"):  # from Python 3.14 on
        monkeypatch.setattr(shutil, "_rmtree_impl", shutil._rmtree_unsafe)
    monkeypatch.setattr(os, "open", open_file)
    monkeypatch.setattr(os, "fsync", sync_file)
    monkeypatch.setattr("ctypes.CDLL", no_library)
    for name in ("unlink", "remove"):
        monkeypatch.setattr(os, name, checked_removal(getattr(os, name)))
    for name in ("rename", "replace"):
        monkeypatch.setattr(os, name, checked_rename(getattr(os, name), replaces=name == "replace"))


def checked_removal(remove: Callable[..., None]) -> Callable[..., None]:
    def removed(path: Any, **more: Any) -> None:
        if (held := where(path)) in open_files() | mapped_files():
            raise PermissionError(13, "The process cannot access the file because it is being used by another process", held)
        remove(path, **more)

    return removed


def checked_rename(rename: Callable[..., None], *, replaces: bool) -> Callable[..., None]:
    def renamed(source: Any, target: Any, **more: Any) -> None:
        if os.path.lexists(target) and (not replaces or os.path.isdir(target)):
            raise FileExistsError(17, "Cannot create a file when that file already exists", str(target))
        held = open_files()
        busy = [path for path in held if path == where(source) or path.startswith(where(source) + os.sep)]
        if busy or where(target) in held | mapped_files():
            raise PermissionError(13, "Access is denied", busy[0] if busy else str(target))
        rename(source, target, **more)

    return renamed


def where(path: Any) -> str:
    """The path of a file without links in the folders above it."""
    return os.path.join(os.path.realpath(os.path.dirname(os.path.abspath(path))), os.path.basename(path))


def open_files() -> set[str]:
    """The files that this process has open."""
    found = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            found.add(os.readlink(f"/proc/self/fd/{number}"))
        except OSError:  # the one that lists them
            continue
    return found


def mapped_files() -> set[str]:
    """The files that this process has mapped into its memory."""
    lines = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
    return {line.split(maxsplit=5)[5] for line in lines if line.count("/")}


needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
