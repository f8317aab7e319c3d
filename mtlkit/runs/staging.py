"""How a run or an export comes to its place: written beside it, synced, renamed; what is not ours stays in the place."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

from mtlkit.errors import MtlkitError, SavingError, listed
from mtlkit.runs import atomic as disk
from mtlkit.runs.record import (
    DIVERGED,
    EXPORT_RECORD,
    LOCK,
    LOG,
    PACKAGES,
    RECORD,
    SAVED,
    STAGED,
    STATE,
    STATE_FILES,
    WRITER,
    RunRecord,
    file_digest,
    read_record,
    record_name,
    write_json,
)


@contextmanager
def staged(out: Path) -> Iterator[Path]:
    """A folder beside `out` to write a run in; on success `finish` moves it, on any other end it goes away."""
    place = out.resolve()  # a link stays one, to a folder on the same disk as what it linked to
    folder = Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{place.name}.{STAGED}"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep(out: Path) -> None:
    """Removes what processes that were killed had staged for `out`. For its only writer."""
    place = out.resolve()
    for path in place.parent.iterdir():
        if path.name.startswith(f".{place.name}.{STAGED}") and path.is_dir():
            shutil.rmtree(path, ignore_errors=True)


def finish(folder: Path, out: Path, record: RunRecord, name: str = RECORD) -> None:
    """Writes the record, syncs every file and puts the folder in its place. What was there before is removed last, except for
    files that are not part of a run: they are kept in the new folder. Raises SavingError where two files claim one name."""
    inside = [path for path in sorted(folder.rglob("*")) if path.is_file() and folder / STATE not in path.parents]
    files = {path.relative_to(folder).as_posix(): file_digest(path) for path in inside}
    stamped = RunRecord(
        **{
            **vars(record),
            "finished": datetime.now(timezone.utc).isoformat(timespec="microseconds"),
            "versions": {"python": sys.version.split()[0], **{package: version(package) for package in PACKAGES}},
            "files": files,
        }
    )
    write_json(folder / name, vars(stamped))
    disk.settle(folder)
    place = out.resolve()
    _keep_foreign(folder, place)
    disk.put(folder, place, lambda old: _move_foreign(old, place))


def foreign(folder: Path) -> list[str]:
    """What lies in a folder and is not part of the run or export there, as names below it, sorted.

    Ours are the files that a readable record lists, the record, checkpoints, and exports of the run with all of that.
    """
    name = record_name(folder)
    known: set[str] = set()
    with suppress(MtlkitError):
        known = {name, *read_record(folder, name).files}
    parents = {parent.as_posix() for path in map(Path, known) for parent in path.parents}
    found: list[str] = []
    for place, folders, names in os.walk(folder):
        inside = Path(place).relative_to(folder)
        for entry in list(folders):
            path, relative = folder / inside / entry, (inside / entry).as_posix()
            if path.is_symlink():
                strangers = [relative]
            elif relative == STATE:
                strangers = [f"{STATE}/{one}" for one in _foreign_in_state(path)]
            elif relative not in parents and _is_export(path):
                strangers = [f"{relative}/{one}" for one in foreign(path)]
            elif relative not in parents and not any(path.iterdir()):
                strangers = [relative]
            else:
                continue
            folders.remove(entry)
            found += strangers
        found += [relative for entry in names if (relative := (inside / entry).as_posix()) not in known]
    return sorted(found)


def _is_export(folder: Path) -> bool:
    for name in (RECORD, EXPORT_RECORD):
        with suppress(MtlkitError):
            return read_record(folder, name).is_of("export")
    return False


def _foreign_in_state(folder: Path) -> list[str]:
    found = []
    for path in folder.iterdir():
        step = path.is_dir() and not path.is_symlink()
        if step and path.match(SAVED):
            found += [f"{path.name}/{one.name}" for one in path.iterdir() if one.name not in STATE_FILES or not one.is_file()]
        elif not (step and path.match(f".{SAVED}")) and (step or path.name not in (LOCK, WRITER, LOG, DIVERGED)):
            found.append(path.name)
    return found


def _keep_foreign(folder: Path, place: Path) -> None:
    """Gives a staged folder what it must keep of the one that it is about to replace, under the same names."""
    if not place.is_dir():
        return
    names = foreign(place)
    if clash := [name for name in names if os.path.lexists(folder / name)]:
        beside = place.with_name(f"{place.name}.finished")
        while os.path.lexists(beside):
            beside = beside.with_name(f"{beside.name}-new")
        disk.rename(folder, beside)
        raise SavingError(
            f"{place} holds {listed(clash, 3)}, not written by this command, where its own files go; what it made is in {beside}"
        )
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        _link(place / name, folder / name)
    if names:
        disk.sync(folder)


def _link(source: Path, target: Path) -> None:
    """A second name for a file, so that it is never without one; a copy where the disk has no links."""
    if source.is_dir() and not source.is_symlink():
        target.mkdir(exist_ok=True)
        return
    try:
        os.link(source, target, follow_symlinks=False)
    except (OSError, NotImplementedError):
        shutil.copy2(source, target, follow_symlinks=False)


def _move_foreign(old: Path, place: Path) -> None:
    """What came into a folder in the moment before it was replaced."""
    for name in foreign(old):
        target = place / name
        if target.exists() and (target.is_dir() or os.path.samefile(old / name, target)):
            continue
        while os.path.lexists(target):
            target = target.with_name(f"{target.name}.kept")
        target.parent.mkdir(parents=True, exist_ok=True)
        disk.rename(old / name, target)
