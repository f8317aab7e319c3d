"""One writer at a time for an output: a lock that the system frees when its holder dies, and a note of who that is.

The lock and the note are hidden files beside the output, so that replacing or removing the output does not touch them.
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
from mtlkit.runs.record import write_json

POLL_SECONDS = 0.05


@contextmanager
def locked(path: Path, command: str, *, option: str = "--out", wait: float = 0.0) -> Iterator[None]:
    """Holds a file or folder that is about to be written, which need not exist yet.

    Any name of it is the same lock: links are followed. `command` is what other writers are told; `wait` is for how many
    seconds to try. Raises UsageError that names the holder, or says why there can be no lock; `option` is what names the output.
    """
    place = path.resolve()
    file, note = place.with_name(f".{place.name}.lock"), place.with_name(f".{place.name}.writer.json")
    lock = _take(path, file, note, option, time.monotonic() + wait)
    try:
        with suppress(OSError):  # a full disk is no reason not to begin, only to say less
            write_json(note, _writer(command))
        yield
    finally:
        with suppress(OSError):
            note.unlink(missing_ok=True)
        with suppress(OSError):  # Windows removes it on release
            file.unlink(missing_ok=True)  # before the release: until then nobody else is here
        lock.release()


def _take(path: Path, file: Path, note: Path, option: str, until: float) -> FileLock:
    lock = FileLock(file, thread_local=False)  # a generator may be closed by another thread than the one that began it
    while True:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("ab") as opened:  # while it is open, no other file can have its number
                lock.acquire(timeout=0, blocking=False)
                if _is_at(opened.fileno(), file):
                    return lock
            lock.release()  # that of a writer which removed the file just before
        except Timeout:
            if not file.exists():  # removed between our opening and our locking it
                continue
            if time.monotonic() >= until:
                raise UsageError(f"{path} is being written by {_holder(note, option)}") from None
            time.sleep(POLL_SECONDS)
        except (OSError, NotImplementedError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else error
            raise UsageError(f"{path} cannot be locked: {reason}; name another place with {option}") from None


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False


def _writer(command: str) -> dict[str, Any]:
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return {"pid": os.getpid(), "host": socket.gethostname(), "command": command, "since": now}


def _holder(note: Path, option: str) -> str:
    """Who holds the lock, and what to do about it."""
    way = f"wait for it to end, stop it, or name another place with {option}"
    try:
        writer = parse_object(read_file(note))
        command = shorten(writer["command"], 400)
        if (writer["pid"], writer["host"]) == (os.getpid(), socket.gethostname()):
            held = "a half-read stream(...) holds it until it is closed or deleted"
            way = f"finish or close that first, or name another place with {option}; {held}"
            return f"this process since {writer['since']} ({command}); {way}"
        return f"process {writer['pid']} on {writer['host']} since {writer['since']} ({command}); {way}"
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return f"another process; {way}"
