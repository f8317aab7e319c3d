"""One writer at a time: a lock that the system frees when its holder dies, and a note of who that is.

`flock` on an open file rather than a file that merely exists: after `kill -9` the next writer is not in the way of a
dead one. Child processes do not inherit it, as Python closes it in them.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from mtlkit.errors import UsageError
from mtlkit.runs import LOCK, WRITER, write_json


@contextmanager
def locked(folder: Path, command: str) -> Iterator[Callable[[], bool]]:
    """Makes the folder and holds it; gives what tells whether it is still there, and not another in its place. Raises UsageError
    that names the holder when it is taken."""
    descriptor: int | None = None
    try:
        try:
            descriptor = _take(folder)
            write_json(folder / WRITER, _writer(command))
        except BlockingIOError:
            holder = f"{folder.parent} is being written by {_holder(folder)}"
            raise UsageError(f"{holder}; wait for its end, stop it, or name another folder with --out") from None
        except OSError as error:
            raise UsageError(f"{folder} cannot be locked: {error.strerror}; name another folder with --out") from None
        yield lambda: _is_at(descriptor, folder / LOCK)
    finally:
        if descriptor is not None:
            if _is_at(descriptor, folder / LOCK):  # else a finished run took the place of all this
                (folder / WRITER).unlink(missing_ok=True)
                (folder / LOCK).unlink()  # last: until then nobody else is here
            os.close(descriptor)


def _take(folder: Path) -> int:
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        except FileNotFoundError:  # a writer that ended removed the folder just now
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(descriptor, folder / LOCK):  # not one that was removed, or replaced with its folder, meanwhile
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False


def _writer(command: str) -> dict[str, Any]:
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return {"pid": os.getpid(), "host": socket.gethostname(), "command": command, "since": now}


def _holder(folder: Path) -> str:
    try:
        writer = json.loads((folder / WRITER).read_text(encoding="utf-8"))
        command = " ".join(writer["command"].split())
        return f"process {writer['pid']} on {writer['host']} since {writer['since']} ({command})"
    except (OSError, ValueError, KeyError):
        return "another process"
