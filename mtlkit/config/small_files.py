"""Reads configuration files: regular files only, up to a limit, with a plain reason where one cannot be read."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

MIB = 2**20
LIMIT = 64 * MIB  # of a file of settings; the largest that real models have are vocabularies of a few megabytes

NO_PERMISSION = "not readable by you (no permission)"
KINDS = {
    stat.S_IFDIR: "a folder, not a file",
    stat.S_IFIFO: "a named pipe, not a file",
    stat.S_IFSOCK: "a socket, not a file",
    stat.S_IFCHR: "a device, not a file",
    stat.S_IFBLK: "a device, not a file",
}


class Unreadable(OSError):
    """A path that cannot be read as a regular file. Its text is the reason: "missing", "a named pipe, not a file", ..."""

    def __init__(self, reason: str) -> None:
        super().__init__(errno.EINVAL, reason)

    def __str__(self) -> str:
        return str(self.strerror)


def check_file(path: Path) -> int:
    """The size in bytes of a regular file that may be read. Raises Unreadable; never blocks, nothing is read."""
    with open_file(path) as file:
        return _size(file.fileno())


def check_readable(path: Path) -> None:
    """Raises Unreadable for a path that may not be reached, or a folder that may not be listed. The path may be missing."""
    try:
        os.lstat(path)
        if path.is_dir() and not os.access(path, os.R_OK | os.X_OK):
            raise Unreadable(NO_PERMISSION)
    except PermissionError:
        raise Unreadable(NO_PERMISSION) from None
    except (FileNotFoundError, NotADirectoryError):
        return


def open_file(path: Path) -> BinaryIO:
    """A regular file, open for reading in binary. Raises Unreadable; never blocks."""
    descriptor = _open(path)
    try:
        _size(descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb")


def read_file(path: Path, limit: int = LIMIT) -> bytes:
    """The content of a regular file of at most `limit` bytes. Raises Unreadable."""
    with open_file(path) as file:
        if (size := _size(file.fileno())) > limit:
            raise Unreadable(f"{size / MIB:,.0f} MB; files of its kind are read up to {limit / MIB:,.0f} MB")
        try:
            content = b"".join(_pieces(file, limit + 1))
        except OSError as error:
            raise Unreadable(error.strerror or str(error)) from None
    if len(content) > limit:  # it grows, or says that it is empty, as files of /proc do
        raise Unreadable(f"more than {limit / MIB:,.0f} MB, the limit for files of its kind")
    return content


def _pieces(file: BinaryIO, most: int) -> Iterator[bytes]:
    """The content up to `most` bytes, piece by piece: Python allocates as much as a read may give, however short the file is."""
    while most > 0 and (piece := file.read(min(most, MIB))):
        most -= len(piece)
        yield piece


def read_text(path: Path, limit: int = LIMIT) -> str:
    """The same as text in UTF-8. Raises Unreadable, UnicodeError."""
    return read_file(path, limit).decode()


def _open(path: Path) -> int:
    """A descriptor; a pipe without a writer does not make the call wait."""
    try:
        return os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except OSError as error:
        raise Unreadable(_reason(path, error)) from None
    except ValueError:  # a null character
        raise Unreadable("no name that a file can have") from None


def _size(descriptor: int) -> int:
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        raise Unreadable(KINDS.get(stat.S_IFMT(found.st_mode), "not a regular file"))
    return found.st_size


def _reason(path: Path, error: OSError) -> str:
    """Why a path cannot be opened, in words."""
    try:
        if kind := KINDS.get(stat.S_IFMT(path.stat().st_mode)):  # a socket cannot be opened, nor a folder on Windows
            return kind
    except OSError:
        pass
    if isinstance(error, FileNotFoundError):
        return f"a broken link to {os.readlink(path)}" if path.is_symlink() else "missing"
    if isinstance(error, PermissionError):
        return NO_PERMISSION
    return error.strerror or str(error)
