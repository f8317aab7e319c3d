"""What a run was made from, and that in its turn, as far as it is on disk."""

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
    """Every parent and teacher, each below what was made from it."""
    return tuple(_above(folder, record, 1, {folder.resolve()}))


def _above(folder: Path, record: RunRecord, depth: int, seen: set[Path]) -> Iterator[ParentFacts]:
    for role, named in origins(record):
        path, recorded = str(named.get("path", "")), str(named.get("digest", ""))
        place, digest = find_parent(path, recorded, folder)
        if place is None:
            yield ParentFacts(path, role, depth, recorded, "gone")
            continue
        condition: ParentCondition = "same" if digest == recorded else "changed"
        try:
            above = any_record(place)
        except MtlkitError:  # a model of others, which has none
            yield ParentFacts(path, role, depth, recorded, condition, digest, str(place))
            continue
        told = (str(above.stage), str(above.command), str(above.finished))
        yield ParentFacts(path, role, depth, recorded, condition, digest, str(place), *told)
        if place.resolve() not in seen:  # a folder that was replaced by what was made from it would go on for ever
            yield from _above(place, above, depth + 1, seen | {place.resolve()})


def origins(record: RunRecord) -> Iterator[tuple[Any, dict[str, Any]]]:
    """The parent of a record and the teachers of its data, each with `path` and `digest`."""
    if isinstance(record.parent, dict):
        yield "parent", record.parent
    for data in record.data.values():
        if isinstance(data, dict) and isinstance(data.get("teacher"), dict):
            yield "teacher", data["teacher"]


def find_parent(path: str, recorded: str, child: Path) -> tuple[Path | None, str | None]:
    """Where a parent stands and its digest now. A relative path is sought from here, then from the folders above the child: what
    has the digest comes before what has only the name."""
    if path == MINI:
        candidates = [mini_folder()]
    else:
        asked = Path(os.path.expanduser(path))  # which leaves the home of nobody as it is
        candidates = [asked, *(above / asked for above in child.resolve().parents)]
    first: tuple[Path | None, str | None] = (None, None)
    for place in dict.fromkeys(candidates):
        try:
            if not path or not any((place / name).is_file() for name in (RECORD, CONFIG, MODULES)):
                continue
            if is_digest_of(place, recorded):
                return place, recorded
            digest = digest_of(place)
        except (OSError, ValueError, MtlkitError):
            continue
        if first[0] is None:
            first = place, digest
    return first
