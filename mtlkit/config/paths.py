"""Paths as users write them: `~` and environment variables expanded, and refused in one line where they cannot be a path."""

from __future__ import annotations

import os
from pathlib import Path

from mtlkit.errors import UsageError, shorten

LONGEST_PATH, LONGEST_NAME = 4096, 255  # bytes: the limits of Linux, and no smaller than those of other systems


def expand(text: str | os.PathLike[str]) -> Path:
    """A path with `~`, `~user` and `$VARIABLE` expanded. An existing path that holds these characters is taken literally.

    Raises UsageError for what no file system takes.
    """
    written = os.fspath(text)
    _check(written)
    path = Path(written)
    if not ("~" in written[:1] or "$" in written or "%" in written) or os.path.lexists(path):
        return path
    expanded = os.path.expandvars(written)
    _check(expanded)
    try:
        return Path(expanded).expanduser()
    except RuntimeError:
        user = Path(expanded).parts[0]
        raise UsageError(f"{shorten(written)}: no home folder is known for '{shorten(user)}'; write the whole path") from None


def _check(text: str) -> None:
    if not text:
        raise UsageError("an empty path; name a file or folder")
    if "\0" in text:
        raise UsageError(f"{shorten(text)}: a path cannot hold a NUL character")
    try:
        encoded = os.fsencode(text)
    except UnicodeEncodeError:
        raise UsageError(f"{shorten(text)}: a path cannot hold these characters") from None
    if len(encoded) > LONGEST_PATH or any(len(part) > LONGEST_NAME for part in encoded.split(os.fsencode(os.sep))):
        raise UsageError(f"{shorten(text)}: too long for a path ({len(encoded):,} bytes)")
