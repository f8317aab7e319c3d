"""The ancestors of a run, as far as they are on disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mtlkit.errors import MtlkitError
from mtlkit.inference.find_model import MINI, mini_folder
from mtlkit.model.description import CONFIG
from mtlkit.model.digest import digest_of, is_digest_of
from mtlkit.model.interop.modules import MODULES
from mtlkit.recipes.run_info.files import any_record
from mtlkit.report.run_facts import ParentCondition, ParentFacts
from mtlkit.runs.record import RECORD, RunRecord


def lineage(folder: Path, record: RunRecord) -> tuple[ParentFacts, ...]:
    """Every ancestor and teacher, each after the run that was initialized from it."""
    return tuple(_ancestors(folder, record, 1, {folder.resolve()}))


def _ancestors(folder: Path, record: RunRecord, depth: int, seen: set[Path]) -> Iterator[ParentFacts]:
    for role, named in origins(record):
        path, recorded = str(named.get("path", "")), str(named.get("digest", ""))
        location, digest = find_parent(path, recorded, folder)
        if location is None:
            yield ParentFacts(path, role, depth, recorded, "gone")
            continue
        condition: ParentCondition = "same" if digest == recorded else "changed"
        try:
            parent = any_record(location)
        except MtlkitError:  # not an mtlkit model, so it has no record
            yield ParentFacts(path, role, depth, recorded, condition, digest, str(location))
            continue
        facts = (str(parent.stage), str(parent.command), str(parent.finished))
        yield ParentFacts(path, role, depth, recorded, condition, digest, str(location), *facts)
        if location.resolve() not in seen:  # a folder replaced by its own descendant would never end
            yield from _ancestors(location, parent, depth + 1, seen | {location.resolve()})


def origins(record: RunRecord) -> Iterator[tuple[Any, dict[str, Any]]]:
    """The parent of a record, the teachers of its data and the runs of taken heads, each with `path` and `digest`."""
    if isinstance(record.parent, dict):
        yield "parent", record.parent
    for data in record.data.values():
        if isinstance(data, dict) and isinstance(data.get("teacher"), dict):
            yield "teacher", data["teacher"]
        if isinstance(data, dict) and isinstance(data.get("taken"), dict):
            yield "head", data["taken"]


def find_parent(path: str, recorded: str, child: Path) -> tuple[Path | None, str | None]:
    """The folder of a parent and its current digest. A relative path is looked up from the current folder, then from the folders
    above the child; a folder with the recorded digest is preferred to one with only the name."""
    if path == MINI:
        candidates = [mini_folder()]
    else:
        expanded = Path(os.path.expanduser(path))  # leaves an unknown user's home unchanged
        candidates = [expanded, *(folder / expanded for folder in child.resolve().parents)]
    first: tuple[Path | None, str | None] = (None, None)
    for location in dict.fromkeys(candidates):
        try:
            if not path or not any((location / name).is_file() for name in (RECORD, CONFIG, MODULES)):
                continue
            if is_digest_of(location, recorded):
                return location, recorded
            digest = digest_of(location)
        except (OSError, ValueError, MtlkitError):
            continue
        if first[0] is None:
            first = location, digest
    return first
