"""JSON files of a Hugging Face folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mtlkit.config.from_json import json_type, parse_json
from mtlkit.config.small_files import Unreadable, read_file
from mtlkit.errors import IntegrityError
from mtlkit.runs.record import diagnose

LONGEST_NAME = 200  # longest file name accepted in a reference: longer than any real one, short enough for every file system


def read_json(path: Path) -> Any:
    """Reads a JSON file. Raises IntegrityError if it is missing or is not valid JSON."""
    try:
        return parse_json(read_file(path))
    except Unreadable as error:
        raise IntegrityError(f"{path}: {error}; it is needed to load the model") from None
    except ValueError as error:
        raise IntegrityError(f"{path}: {diagnose(path) or f'damaged ({error})'}") from None


def read_object(path: Path) -> dict[str, Any]:
    """Reads a JSON file that contains an object. Raises IntegrityError."""
    value = read_json(path)
    if not isinstance(value, dict):
        raise IntegrityError(f"{path}: damaged (expected a JSON object, not {json_type(value)})")
    return value


def read_optional(path: Path) -> dict[str, Any]:
    """Like `read_object`, but returns an empty dict if the file is missing. Raises IntegrityError."""
    return read_object(path) if os.path.lexists(path) else {}


def inside(folder: Path, name: str, listing: str) -> Path:
    """Resolves a path that a file of the folder refers to. Raises IntegrityError if it is outside the folder."""
    if Path(name).is_absolute() or ".." in Path(name).parts or "\0" in name or len(name) > LONGEST_NAME:
        raise IntegrityError(f"{folder / listing}: names {name!r}, which is outside the folder")
    return folder / name
