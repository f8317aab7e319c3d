"""Expands `~` and environment variables in paths, and rejects invalid paths; the folder of the user's caches."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from mtlkit.errors import UsageError, shorten

LONGEST_PATH, LONGEST_NAME = 4096, 255  # bytes: the limits of Linux, at least as large as those of other systems


def expand(text: str | os.PathLike[str]) -> Path:
    """The path with `~`, `~user` and `$VARIABLE` expanded, unless it exists literally.

    Raises UsageError for an invalid path.
    """
    literal = os.fspath(text)
    _check(literal)
    path = Path(literal)
    if not ("~" in literal[:1] or "$" in literal or "%" in literal) or os.path.lexists(path):
        return path
    expanded = os.path.expandvars(literal)
    _check(expanded)
    try:
        return Path(expanded).expanduser()
    except RuntimeError:
        user = Path(expanded).parts[0]
        raise UsageError(f"{shorten(literal)}: no home folder is known for '{shorten(user)}'; give the full path") from None


def cache_folder() -> Path:
    """The user's cache folder: $MTLKIT_CACHE, or the platform's default."""
    return Path(os.environ.get("MTLKIT_CACHE") or platformdirs.user_cache_path("mtlkit"))


def _check(text: str) -> None:
    if not text:
        raise UsageError("the path is empty; give a file or folder")
    if "\0" in text:
        raise UsageError(f"{shorten(text)}: a path cannot contain a NUL character")
    try:
        encoded = os.fsencode(text)
    except UnicodeEncodeError:
        raise UsageError(f"{shorten(text)}: the path contains characters that the file system does not support") from None
    if len(encoded) > LONGEST_PATH or any(len(part) > LONGEST_NAME for part in _names(encoded)):
        raise UsageError(f"{shorten(text)}: the path is too long ({len(encoded):,} bytes)")


def _names(path: bytes) -> list[bytes]:
    """The names of folders and file in a path. Windows knows two separators."""
    return path.replace(os.fsencode(os.altsep or os.sep), os.fsencode(os.sep)).split(os.fsencode(os.sep))
