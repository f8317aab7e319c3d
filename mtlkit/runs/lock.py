"""One writer at a time per output: a lock that the system releases when its holder dies, and a note naming the holder.

The lock and the note are hidden files beside the output, so replacing or removing the output does not affect them.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from mtlkit.config.from_json import parse_object
from mtlkit.config.small_files import read_file
from mtlkit.errors import UsageError, shorten
from mtlkit.runs.file_locks import in_use
from mtlkit.runs.record import write_json

POLL_SECONDS = 0.05


@contextmanager
def locked(path: Path, command: str, *, option: str = "--out", wait: float = 0.0) -> Iterator[None]:
    """Holds the lock of an output file or folder, which need not exist yet.

    Links are followed, so every path to the same output is the same lock. `command` is shown to other writers, `option` is the
    option that sets the output, and `wait` is how many seconds to wait for the lock. Raises UsageError if the output is locked,
    naming the holder, or cannot be locked.
    """
    target = path.resolve()
    lock_file, note = target.with_name(f".{target.name}.lock"), target.with_name(f".{target.name}.writer.json")
    lock = _acquire(path, lock_file, note, option, time.monotonic() + wait)
    try:
        with suppress(OSError):  # on a full disk, only the note is missing
            write_json(note, _describe_writer(command))
        yield
    finally:
        with suppress(OSError):
            note.unlink(missing_ok=True)
        with suppress(OSError):  # Windows removes it on release
            lock_file.unlink(missing_ok=True)  # before the release, while no other process can hold it
        lock.release()


def is_locked(path: Path) -> bool:
    """Whether a process of this machine is writing an output."""
    target = path.resolve()
    return in_use(target.with_name(f".{target.name}.lock"))


def _acquire(path: Path, lock_file: Path, note: Path, option: str, deadline: float) -> FileLock:
    lock = FileLock(lock_file, thread_local=False)  # a generator may be closed by another thread than the one that started it
    while True:
        try:
            lock_file.parent.mkdir(parents=True, exist_ok=True)
            with lock_file.open("ab") as opened:  # while it is open, no other file can get its inode number
                lock.acquire(timeout=0, blocking=False)
                if _is_same_file(opened.fileno(), lock_file):
                    return lock
            lock.release()  # the lock of a file that the previous holder has removed
        except Timeout:
            if not lock_file.exists():  # removed after it was opened here
                continue
            if time.monotonic() >= deadline:
                raise UsageError(f"{path} is being written by {_describe_holder(note, option)}") from None
            time.sleep(POLL_SECONDS)
        except (OSError, NotImplementedError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else error
            raise UsageError(f"cannot lock {path}: {reason}; choose another path with {option}") from None


def _is_same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False


def _describe_writer(command: str) -> dict[str, Any]:
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return {"pid": os.getpid(), "host": socket.gethostname(), "command": command, "since": now}


def _describe_holder(note: Path, option: str) -> str:
    """Which process holds the lock, and what the user can do."""
    advice = f"wait for it to finish, stop it, or choose another path with {option}"
    try:
        writer = parse_object(read_file(note))
        command = shorten(writer["command"], 400)
        if (writer["pid"], writer["host"]) == (os.getpid(), socket.gethostname()):
            advice = f"finish or close that first, or choose another path with {option}"
            generator = "a partly read stream(...) holds the lock until it is closed or deleted"
            return f"this process since {writer['since']} ({command}); {advice}; {generator}"
        return f"process {writer['pid']} on {writer['host']} since {writer['since']} ({command}); {advice}"
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return f"another process; {advice}"
