"""Checks a folder before parts are written to it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from mtlkit.data.outputs.manifest import MANIFEST, PART_NAME, WORK
from mtlkit.data.outputs.storage import LocalStorage, Storage
from mtlkit.errors import UsageError, listed
from mtlkit.runs.overlap import Input, check_not_in_model, check_not_input


def check_folder(out: Path, inputs: Iterable[Input]) -> None:
    """Raises UsageError if parts must not or cannot be written to a local folder."""
    if out.exists() and not out.is_dir():
        raise UsageError(f"--output {out} is a file; specify a folder, or a file without --format and --shard")
    check_not_input(out, inputs, "--output")
    check_not_in_model(out, "--output")
    check_ours(LocalStorage(out, WORK))
    parent = next(path for path in (out.resolve(), *out.resolve().parents) if path.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise UsageError(f"cannot write --output {out}; specify a folder in one that you may write to")


def check_ours(storage: Storage) -> None:
    """Raises UsageError for a folder that holds files of others."""
    names = storage.names()
    ours = MANIFEST in names or bool(storage.names(WORK))
    if foreign := [name for name in names if name != MANIFEST and not (ours and PART_NAME.fullmatch(name))]:
        raise UsageError(f"--output {storage} contains {listed(foreign, 4)}, which mtlkit did not write; choose an empty folder")
