"""Refuses outputs that overlap an input or lie inside a run or model."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mtlkit.errors import MtlkitError, UsageError
from mtlkit.runs.record import CHECKPOINT_GLOB, CHECKPOINTS, EXPORT_RECORD, GRAPH, RECORD, WEIGHTS, read_record

MODEL_FILES = (WEIGHTS, f"{WEIGHTS}.index.json", "pytorch_model.bin", GRAPH)  # a folder with one and a config.json is a model


@dataclass(frozen=True)
class Input:
    """A file or folder that a command reads, and the option or role that the user knows it by."""

    path: Path
    name: str


def same_file(path: Path, other: Path) -> bool:
    """Whether two paths lead to one file or folder, through links, hard links or other case."""
    try:
        return os.path.samefile(path, other)
    except OSError:
        return False


def has_any_checkpoint(out: Path) -> bool:
    """Whether a run folder contains a checkpoint, intact or damaged."""
    return any((out / CHECKPOINTS).glob(CHECKPOINT_GLOB))


def check_not_input(out: Path, inputs: Iterable[Input], option: str = "--out") -> None:
    """Raises UsageError if an output is an input, contains one, or is inside one."""
    for source in inputs:
        if os.path.exists(source.path) and (relation := _relation(out, source.path)):
            raise UsageError(f"{option} {out} {relation} {source.name} {source.path}; choose another path with {option}")


def check_not_in_model(out: Path, option: str) -> None:
    """Raises UsageError if an output is inside the folder of a run, an export or another model."""
    for parent in _parents(out):
        if _is_model(parent):
            raise UsageError(f"{option} {out} is inside {parent}, which is a run or model; choose a path outside it")


def _relation(out: Path, path: Path) -> str | None:
    if same_file(out, path):
        return "is the same as"
    if any(same_file(out, parent) for parent in _parents(path)):
        return "contains"
    if path.is_dir() and any(same_file(path, parent) for parent in _parents(out)):
        return "is inside"
    return None


def _parents(path: Path) -> Iterator[Path]:
    """The parent folders of a path as written, then those of its resolved form."""
    written, resolved = Path(os.path.abspath(path)), path.resolve()
    yield from written.parents
    yield from (parent for parent in resolved.parents if parent not in written.parents)


def _is_model(folder: Path) -> bool:
    if (folder / "config.json").is_file() and any((folder / name).is_file() for name in MODEL_FILES):
        return True
    if has_any_checkpoint(folder):
        return True
    for name in (RECORD, EXPORT_RECORD):
        if (folder / name).is_file():
            with suppress(MtlkitError):
                read_record(folder, name)
                return True
    return False
