"""Checkpoints of a training: under `state/` in the run folder, each complete or absent; the two newest are kept."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtlkit.errors import IntegrityError, SavingError, UsageError
from mtlkit.runs import atomic as disk
from mtlkit.runs.checkpoint_files import find_damage, read_manifest, read_tensors, read_values, step_of, write_checkpoint
from mtlkit.runs.lock import locked
from mtlkit.runs.record import CHECKPOINT_GLOB, CHECKPOINT_NAME, CHECKPOINTS, LOG, OLD_LOCK, OLD_WRITER, TENSORS
from mtlkit.runs.replace_folder import replace_folder, restore_replaced

if TYPE_CHECKING:
    from torch import Tensor

KEEP_NEWEST = 2


@dataclass(frozen=True)
class Checkpoint:
    """What a training needs to resume after `step`: tensors, plain JSON values, and the folder that they were read from."""

    step: int
    tensors: dict[str, Tensor]
    plain: dict[str, Any]
    path: Path


class CheckpointManager:
    """The checkpoints and the log of a training that writes to the run folder `out`."""

    def __init__(self, out: Path) -> None:
        self.path = out / CHECKPOINTS
        self.log = self.path / LOG

    @contextmanager
    def lock(self, command: str) -> Iterator[None]:
        """Creates the folder and locks it against other writers; removes it again if no checkpoint was saved.

        Raises UsageError that names the process holding the lock.
        """
        out = self.path.parent
        with locked(out, command):
            self._restore()
            created = not out.exists()
            try:
                self.path.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise UsageError(f"cannot write {self.path}: {error.strerror}; choose another folder with --out") from None
            for name in (OLD_LOCK, OLD_WRITER):
                (self.path / name).unlink(missing_ok=True)
            self._remove_partial()
            try:
                yield
            finally:
                if not self._folders(CHECKPOINT_GLOB):
                    self._remove_partial()
                    self.log.unlink(missing_ok=True)
                    with suppress(OSError):  # not empty, or replaced by the finished run
                        self.path.rmdir()
                        if created:
                            out.rmdir()

    def save(self, step: int, tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> None:
        """Saves a checkpoint with the current log, then removes all but the two newest. Raises SavingError."""
        target = self.path / f"step-{step:08d}"
        temporary: Path | None = None
        self._restore()
        earlier = self._newest_first()
        try:
            self._remove_partial()
            temporary = Path(tempfile.mkdtemp(dir=self.path, prefix=f".{target.name}."))
            write_checkpoint(temporary, step, tensors, plain, self.log)
            replace_folder(temporary, target)
        except OSError as error:
            fallback = f"the checkpoint of step {step_of(earlier[0])} is kept" if earlier else "no earlier checkpoint exists"
            raise SavingError(
                f"{self.path}: cannot save the checkpoint of step {step}: {error.strerror or error}; {fallback}; free some space "
                "and resume"
            ) from None
        finally:
            if temporary is not None:
                shutil.rmtree(temporary, ignore_errors=True)
        for old in self._newest_first()[KEEP_NEWEST:]:
            with suppress(OSError):  # retried by the next save
                self._remove(old)

    def newest(self) -> tuple[Checkpoint | None, list[str]]:
        """The newest intact checkpoint, and a warning for each damaged one, which is renamed.

        Raises IntegrityError if all checkpoints are damaged.
        """
        self._restore()
        damaged: list[tuple[Path, str]] = []
        for folder in self._newest_first():
            if damage := find_damage(folder, self.log):
                damaged.append((folder, damage))
                continue
            warnings = [f"{damage}; kept as {_set_aside(bad).name}, resuming from {folder.name}" for bad, damage in damaged]
            return Checkpoint(step_of(folder), read_tensors(folder / TENSORS), read_values(folder), folder), warnings
        if damaged:
            raise IntegrityError(f"{damaged[0][1]}; no intact checkpoint is left; start over with --overwrite")
        return None, []

    def newest_step(self) -> int | None:
        """The step of the newest checkpoint. Reads no files."""
        return next(map(step_of, self._newest_first()), None)

    def peek(self) -> dict[str, Any] | None:
        """The plain values of the newest intact checkpoint, without reading its tensors."""
        self._restore()
        intact = (folder for folder in self._newest_first() if not find_damage(folder, self.log, size_only=(TENSORS,)))
        return next(map(read_values, intact), None)

    def cut_log(self, checkpoint: Checkpoint | None) -> None:
        """Truncates the log to its length at a checkpoint, or to nothing for None."""
        if self.log.exists():
            self.truncate_log(0 if checkpoint is None else read_manifest(checkpoint.path)["log"]["size"])

    def log_size(self) -> int:
        """The length of the log in bytes; 0 without one."""
        return self.log.stat().st_size if self.log.exists() else 0

    def truncate_log(self, size: int) -> None:
        if self.log.exists():
            os.truncate(self.log, size)
            disk.sync(self.log)

    def carry(self, folder: Path) -> None:
        """Copies the newest checkpoint and the log into the run that is staged in `folder`."""
        for newest in self._newest_first()[:1]:
            shutil.copytree(newest, folder / CHECKPOINTS / newest.name)
            if self.log.exists():
                shutil.copyfile(self.log, folder / CHECKPOINTS / LOG)

    def drop(self) -> None:
        """Removes all checkpoints, including damaged ones, and empties the log."""
        for folder in self._folders(CHECKPOINT_GLOB):
            self._remove(folder)
        self._remove_partial()
        self.cut_log(None)

    def _folders(self, pattern: str) -> list[Path]:
        return sorted(path for path in self.path.glob(pattern) if path.is_dir())

    def _newest_first(self) -> list[Path]:
        """The folders of checkpoints that are not marked as damaged, the newest first."""
        folders = (path for path in self._folders(CHECKPOINT_GLOB) if CHECKPOINT_NAME.fullmatch(path.name))
        return sorted(folders, key=step_of, reverse=True)

    def _restore(self) -> None:
        """Recovers from a kill between two renames, of the run folder or of a checkpoint."""
        out = self.path.parent.resolve()
        restore_replaced(out.parent, out.name)
        restore_replaced(self.path)

    def _remove_partial(self) -> None:
        """Removes partly written or partly removed files of a killed save."""
        for path in self._folders(f".{CHECKPOINT_GLOB}"):
            shutil.rmtree(path, ignore_errors=True)

    def _remove(self, folder: Path) -> None:
        hidden = folder.with_name(f".{folder.name}.gone")
        shutil.rmtree(hidden, ignore_errors=True)
        disk.rename(folder, hidden)  # in one step, so that a partly removed checkpoint is never visible
        shutil.rmtree(hidden, ignore_errors=True)


def _set_aside(folder: Path) -> Path:
    """Renames a damaged checkpoint, so that it is kept for inspection but not used again. Returns its path."""
    target = folder.with_name(f"{folder.name}.damaged")
    number = 1
    while target.exists():
        number += 1
        target = folder.with_name(f"{folder.name}.damaged-{number}")
    try:
        disk.rename(folder, target)
        disk.sync(folder.parent)
    except OSError:  # resuming from the earlier checkpoint works without the rename
        return folder
    return target
