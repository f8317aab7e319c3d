"""Deletes runs: never what another run descends from, what is being written, or files that mtlkit did not write."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from mtlkit.errors import IntegrityError, MtlkitError, UsageError, counted, listed, suggest
from mtlkit.model.digest import is_digest_of
from mtlkit.recipes.run_info.files import any_record, other_files, record_name
from mtlkit.recipes.run_info.lineage import find_parent, origins
from mtlkit.recipes.run_list.rows import is_run, run_row, runs_in
from mtlkit.recipes.run_list.unfinished import unfinished_record
from mtlkit.report.run_rows import RunRow
from mtlkit.report.runs import in_order
from mtlkit.runs.lock import locked
from mtlkit.runs.record import CHECKPOINTS, LOG, RECORD
from mtlkit.runs.staging import exports_in

OWN = {"README.md", LOG, RECORD, "diverged.json"}  # written into folders of runs beside the files that a record lists


@dataclass(frozen=True)
class Deletion:
    """The runs that will be deleted, and those that stay because kept ones descend from them."""

    runs: tuple[RunRow, ...]
    ancestors: tuple[Path, ...] = ()

    @property
    def exports(self) -> list[str]:
        """The exports in the folders of these runs, which go with them."""
        return [f"{run.path}/{export}" for run in self.runs for export in exports_in(run.path)]

    @property
    def size(self) -> int:
        return sum(run.size for run in self.runs)


def named(folders: Iterable[str]) -> Deletion:
    """The deletion of these runs. Raises UsageError for one that is no run, or that another run beside it descends from."""
    doomed = list(dict.fromkeys(Path(folder) for folder in folders))
    if wrong := [folder for folder in doomed if folder.is_symlink() or not is_run(folder)]:
        near = suggest(str(wrong[0]), (), "--delete")
        raise UsageError(f"--delete {wrong[0]}: not a run, so nothing was deleted; 'mtlkit runs' lists your runs{near}")
    beside = {path.resolve() for folder in doomed for path in runs_in(folder.resolve().parent)}
    kept = beside - {folder.resolve() for folder in doomed}
    needed = ancestors(kept)
    for folder in doomed:
        if folder.resolve() in needed:
            child = needed[folder.resolve()]
            raise UsageError(f"--delete {folder}: {child} descends from it, so nothing was deleted; delete that, too")
    return _checked(doomed)


def but_newest(folder: Path, keep: int) -> Deletion:
    """The deletion of all finished and interrupted runs of a folder but the newest, and those that these descend from."""
    rows = [run_row(path) for path in runs_in(folder)]
    candidates = [row for row in rows if row.state in ("finished", "interrupted") and row.when is not None]
    newest = in_order(candidates, "newest")[:keep]
    kept = {row.path.resolve() for row in rows if row in newest or row not in candidates}
    needed = ancestors(kept)
    doomed = [row.path for row in candidates if row.path.resolve() not in kept | needed.keys()]
    stay = tuple(row.path for row in candidates if row.path.resolve() in needed.keys() - kept)
    return Deletion(_checked(doomed).runs, stay)


def ancestors(kept: Iterable[Path]) -> dict[Path, Path]:
    """The folders that runs descend from, over any number of generations, each with one of its descendants."""
    found: dict[Path, Path] = {}
    left = list(kept)
    while left:
        folder = left.pop()
        for parent in _parents(folder):
            if parent not in found:
                found[parent] = folder
                left.append(parent)
    return found


def _parents(folder: Path) -> list[Path]:
    """The folders that a run was trained from, those of its teachers and of taken heads, as far as they are on disk."""
    try:
        record = any_record(folder) if (folder / record_name(folder)).is_file() else unfinished_record(folder)
    except MtlkitError:
        return []
    places = []
    for _, origin in origins(record) if record is not None else ():
        recorded = str(origin.get("digest", ""))
        location, digest = find_parent(str(origin.get("path", "")), recorded, folder)
        places += [location.resolve()] if location is not None and digest == recorded else _with_digest(recorded, folder.parent)
    return places


def _with_digest(recorded: str, folder: Path) -> list[Path]:
    """The runs of a folder with this digest: those that a moved folder's records no longer find by their path."""
    return [path.resolve() for path in runs_in(folder) if (path / RECORD).is_file() and is_digest_of(path, recorded)]


def _checked(folders: Sequence[Path]) -> Deletion:
    """Raises UsageError for a run that is being trained or holds files that mtlkit did not write."""
    rows = tuple(run_row(folder) for folder in folders)
    for row in rows:
        if row.state == "running":
            raise UsageError(f"{row.path} is being trained, so nothing was deleted; stop it first")
        if strangers := foreign_files(row.path):
            pronoun = "it" if len(strangers) == 1 else "them"
            some = f"{counted(len(strangers), 'file')} that mtlkit did not write ({listed(strangers, 3)})"
            raise UsageError(f"{row.path} holds {some}, so nothing was deleted; move {pronoun}, or delete the folder yourself")
    return Deletion(rows)


def foreign_files(folder: Path) -> list[str]:
    """The files in the folder of a run that neither its record nor that of an export in it lists."""
    try:
        record = any_record(folder) if (folder / record_name(folder)).is_file() else None
    except IntegrityError:
        return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    files, exports = other_files(folder, {} if record is None else record.files, record_name(folder))
    inside = [f"{export}/{name}" for export in exports for name in foreign_files(folder / export)]
    return [name for name in files if Path(name).name not in OWN and not name.startswith(f"{CHECKPOINTS}/")] + inside


def delete(deletion: Deletion, command: str) -> None:
    """Deletes the folders. Raises UsageError if a training began in the meantime, OSError."""
    with ExitStack() as locks:
        for run in deletion.runs:
            locks.enter_context(locked(run.path, command, option="--delete"))
        for run in deletion.runs:
            shutil.rmtree(run.path)
