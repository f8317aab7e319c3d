"""Reads configuration files: regular files only, up to a size limit, with a plain reason if one cannot be read."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

MIB = 2**20
LIMIT = 64 * MIB  # of a configuration file; the largest in real models are vocabularies of a few megabytes

NO_PERMISSION = "not readable (permission denied)"
KINDS = {
    stat.S_IFDIR: "a folder, not a file",
    stat.S_IFIFO: "a named pipe, not a file",
    stat.S_IFSOCK: "a socket, not a file",
    stat.S_IFCHR: "a device, not a file",
    stat.S_IFBLK: "a device, not a file",
}


class Unreadable(OSError):
    """A path that cannot be read as a regular file; its message is the reason: "missing", "a named pipe, not a file", ..."""

    def __init__(self, reason: str) -> None:
        super().__init__(errno.EINVAL, reason)

    def __str__(self) -> str:
        return str(self.strerror)


def check_file(path: Path) -> int:
    """The size in bytes of a readable regular file, without reading it. Never blocks. Raises Unreadable."""
    with open_file(path) as file:
        return _size(file.fileno())


def check_readable(path: Path) -> None:
    """Raises Unreadable if access to the path, or listing it as a folder, is denied. The path may be missing."""
    try:
        os.lstat(path)
        if path.is_dir() and not os.access(path, os.R_OK | os.X_OK):
            raise Unreadable(NO_PERMISSION)
    except PermissionError:
        raise Unreadable(NO_PERMISSION) from None
    except (FileNotFoundError, NotADirectoryError):
        return


def open_file(path: Path) -> BinaryIO:
    """Opens a regular file for reading in binary mode. Never blocks. Raises Unreadable."""
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
            raise Unreadable(f"too large: {size / MIB:,.0f} MB; the limit for such files is {limit / MIB:,.0f} MB")
        try:
            content = b"".join(_pieces(file, limit + 1))
        except OSError as error:
            raise Unreadable(error.strerror or str(error)) from None
    if len(content) > limit:  # it is growing, or reports size 0, like files in /proc
        raise Unreadable(f"too large: more than {limit / MIB:,.0f} MB, the limit for such files")
    return content


def _pieces(file: BinaryIO, most: int) -> Iterator[bytes]:
    """The content up to `most` bytes in pieces: a read allocates the requested size, however short the file is."""
    while most > 0 and (piece := file.read(min(most, MIB))):
        most -= len(piece)
        yield piece


def read_text(path: Path, limit: int = LIMIT) -> str:
    """`read_file` decoded as UTF-8. Raises Unreadable, UnicodeError."""
    return read_file(path, limit).decode()


def _open(path: Path) -> int:
    """A file descriptor; does not wait if the path is a pipe without a writer."""
    try:
        return os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except OSError as error:
        raise Unreadable(_reason(path, error)) from None
    except ValueError:  # a null character
        raise Unreadable("not a valid file name") from None


def _size(descriptor: int) -> int:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise Unreadable(KINDS.get(stat.S_IFMT(status.st_mode), "not a regular file"))
    return status.st_size


def _reason(path: Path, error: OSError) -> str:
    """Why a path cannot be opened."""
    try:
        if kind := KINDS.get(stat.S_IFMT(path.stat().st_mode)):  # opening a socket fails, and on Windows a folder
            return kind
    except OSError:
        pass
    if isinstance(error, FileNotFoundError):
        return f"a broken link to {os.readlink(path)}" if path.is_symlink() else "missing"
    if isinstance(error, PermissionError):
        return NO_PERMISSION
    return error.strerror or str(error)
