"""Writes a run or an export beside its path and moves it there when it is complete; foreign files in the old folder are kept."""

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
    CHECKPOINT_FILES,
    CHECKPOINT_GLOB,
    CHECKPOINTS,
    DIVERGED,
    EXPORT_RECORD,
    LOG,
    OLD_LOCK,
    OLD_WRITER,
    OPTIONAL_PACKAGES,
    PACKAGES,
    RECORD,
    STAGING,
    RunRecord,
    file_digest,
    read_record,
    record_name,
    write_json,
)
from mtlkit.runs.replace_folder import replace_folder


@contextmanager
def staged(out: Path) -> Iterator[Path]:
    """A temporary folder beside `out` to write a run in; `finish` moves it to `out`, otherwise it is removed."""
    target = out.resolve()  # a link stays a link: the folder is on the same file system as its target
    folder = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.{STAGING}"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_staged(out: Path) -> None:
    """Removes the temporary folders that killed processes left for `out`. Call it while holding the lock of `out`."""
    target = out.resolve()
    for path in target.parent.iterdir():
        if path.name.startswith(f".{target.name}.{STAGING}") and path.is_dir():
            shutil.rmtree(path, ignore_errors=True)


def finish(folder: Path, out: Path, record: RunRecord, name: str = RECORD) -> None:
    """Writes the record with the digest of every file, syncs the folder and moves it to `out`.

    An old run there is removed last; files in it that are not part of it, exports among them, are kept in the new folder. Raises
    OSError, and SavingError if such a file has the name of one of the new run.
    """
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and folder / CHECKPOINTS not in path.parents]
    files = {path.relative_to(folder).as_posix(): file_digest(path) for path in paths}
    stamped = RunRecord(
        **{
            **vars(record),
            "finished": datetime.now(timezone.utc).isoformat(timespec="microseconds"),
            "versions": {"python": sys.version.split()[0], **{package: version(package) for package in _packages()}},
            "files": files,
        }
    )
    write_json(folder / name, vars(stamped))
    disk.sync_tree(folder)
    target = out.resolve()
    _keep_foreign(folder, target)
    replace_folder(folder, target, lambda old: _move_foreign(old, target))


def _packages() -> list[str]:
    """The packages whose versions are recorded."""
    return [*PACKAGES, *(package for package in OPTIONAL_PACKAGES if package in sys.modules)]


def foreign_files(folder: Path, *, but_exports: bool = False) -> list[str]:
    """The files and folders that are not part of the run or export in `folder`, as sorted relative paths.

    Part of it are the record, the files that it lists, and checkpoints. `but_exports` passes over exports of the run, too, except
    for what is foreign to them.
    """
    name = record_name(folder)
    known: set[str] = set()
    with suppress(MtlkitError):
        known = {name, *read_record(folder, name).files}
    parents = {parent.as_posix() for path in map(Path, known) for parent in path.parents}
    foreign: list[str] = []
    for current, subfolders, names in os.walk(folder):
        relative = Path(current).relative_to(folder)
        for subfolder in list(subfolders):
            inner = _foreign_in(folder, (relative / subfolder).as_posix(), parents, but_exports)
            if inner is not None:
                subfolders.remove(subfolder)
                foreign += inner
        foreign += [path for name in names if (path := (relative / name).as_posix()) not in known]
    return sorted(foreign)


def exports_in(folder: Path) -> list[str]:
    """The exports that a folder contains, as sorted relative paths. They stay when its run is replaced."""
    exports = []
    for current, subfolders, _ in os.walk(folder):
        for subfolder in [name for name in subfolders if _is_export(Path(current) / name)]:
            subfolders.remove(subfolder)
            exports.append((Path(current) / subfolder).relative_to(folder).as_posix())
    return sorted(exports)


def _foreign_in(folder: Path, name: str, parents: set[str], but_exports: bool) -> list[str] | None:
    """The foreign files in a subfolder that counts as a whole; None for one whose files are checked individually."""
    path = folder / name
    if path.is_symlink():
        return [name]
    if name == CHECKPOINTS:
        return [f"{CHECKPOINTS}/{inner}" for inner in _foreign_in_checkpoints(path)]
    if name in parents:
        return None
    if but_exports and _is_export(path):
        return [f"{name}/{inner}" for inner in foreign_files(path, but_exports=True)]
    return None if any(path.iterdir()) else [name]


def _is_export(folder: Path) -> bool:
    for name in (RECORD, EXPORT_RECORD):
        with suppress(MtlkitError):
            return read_record(folder, name).is_of("export")
    return False


def _foreign_in_checkpoints(folder: Path) -> list[str]:
    foreign = []
    for path in folder.iterdir():
        is_folder = path.is_dir() and not path.is_symlink()
        if is_folder and path.match(CHECKPOINT_GLOB):
            foreign += [f"{path.name}/{file.name}" for file in path.iterdir() if not _is_checkpoint_file(file)]
        elif not (is_folder and path.match(f".{CHECKPOINT_GLOB}")) and (
            is_folder or path.name not in (OLD_LOCK, OLD_WRITER, LOG, DIVERGED)
        ):
            foreign.append(path.name)
    return foreign


def _is_checkpoint_file(path: Path) -> bool:
    return path.name in CHECKPOINT_FILES and path.is_file()


def _keep_foreign(folder: Path, target: Path) -> None:
    """Adds the foreign files of the folder that is about to be replaced, under the same names. Raises SavingError."""
    if not target.is_dir():
        return
    names = foreign_files(target)
    if clashing := [name for name in names if os.path.lexists(folder / name)]:
        finished = target.with_name(f"{target.name}.finished")
        while os.path.lexists(finished):
            finished = finished.with_name(f"{finished.name}-new")
        disk.rename(folder, finished)
        raise SavingError(
            f"{target} contains {listed(clashing, 3)}, not written by this command, which its own files would replace; the "
            f"result is in {finished}"
        )
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        _link(target / name, folder / name)
    if names:
        disk.sync(folder)


def _link(source: Path, target: Path) -> None:
    """A hard link, so that the file has a name at every moment; a copy on file systems without hard links."""
    if source.is_dir() and not source.is_symlink():
        target.mkdir(exist_ok=True)
        return
    try:
        os.link(source, target, follow_symlinks=False)
    except (OSError, NotImplementedError):
        shutil.copy2(source, target, follow_symlinks=False)


def _move_foreign(old: Path, new: Path) -> None:
    """Moves the files that appeared in a folder just before it was replaced."""
    for name in foreign_files(old):
        target = new / name
        if target.exists() and (target.is_dir() or os.path.samefile(old / name, target)):
            continue
        while os.path.lexists(target):
            target = target.with_name(f"{target.name}.kept")
        target.parent.mkdir(parents=True, exist_ok=True)
        disk.rename(old / name, target)
