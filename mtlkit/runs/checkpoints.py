"""Saved states of a training that runs: under `state/` in its folder, each whole or absent, the two newest kept."""

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
from mtlkit.runs.checkpoint_files import fault_of, read_manifest, read_plain, read_tensors, step_of, write_files
from mtlkit.runs.lock import locked
from mtlkit.runs.record import LOCK, LOG, SAVED, STATE, STEP, TENSORS, WRITER

if TYPE_CHECKING:
    from torch import Tensor

KEPT = 2


@dataclass(frozen=True)
class Checkpoint:
    """What a training needs to go on from a step: tensors, and plain values as JSON knows them."""

    step: int
    tensors: dict[str, Tensor]
    plain: dict[str, Any]
    place: Path


class CheckpointManager:
    """The saved states of the training that writes to `out`, and its log so far."""

    def __init__(self, out: Path) -> None:
        self.path = out / STATE
        self.log = self.path / LOG

    @contextmanager
    def lock(self, command: str) -> Iterator[None]:
        """Makes the folder and keeps other writers out of it; leaves nothing behind when nothing was saved.
        Raises UsageError that names the first writer."""
        out = self.path.parent
        with locked(out, command):
            self._restore()
            made = not out.exists()
            try:
                self.path.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise UsageError(f"{self.path} cannot be written: {error.strerror}; name another folder with --out") from None
            for name in (LOCK, WRITER):  # of versions that kept them here
                (self.path / name).unlink(missing_ok=True)
            self._sweep()
            try:
                yield
            finally:
                if not self._found(SAVED):
                    self._sweep()
                    self.log.unlink(missing_ok=True)
                    with suppress(OSError):  # not empty, or gone with what a finished run replaced
                        self.path.rmdir()
                        if made:
                            out.rmdir()

    def save(self, step: int, tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> None:
        """Saves a state with the log as it now stands, then removes all but the two newest. Raises SavingError."""
        place = self.path / f"step-{step:08d}"
        folder: Path | None = None
        self._restore()
        before = self._steps()
        try:
            self._sweep()
            folder = Path(tempfile.mkdtemp(dir=self.path, prefix=f".{place.name}."))
            write_files(folder, step, tensors, plain, self.log)
            disk.put(folder, place)
        except OSError as error:
            rest = f"the state of step {step_of(before[0])} stands" if before else "no state was saved before"
            raise SavingError(
                f"{self.path}: the state of step {step} cannot be saved: {error.strerror or error}; {rest}; make room and resume"
            ) from None
        finally:
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)
        for old in self._steps()[KEPT:]:
            with suppress(OSError):  # the next save comes back to it
                self._remove(old)

    def newest(self) -> tuple[Checkpoint | None, list[str]]:
        """The newest sound state, and a warning for each damaged one, which is renamed aside.
        Raises IntegrityError when all are damaged."""
        self._restore()
        faults: list[tuple[Path, str]] = []
        for place in self._steps():
            if fault := fault_of(place, self.log):
                faults.append((place, fault))
                continue
            warnings = [f"{fault}; kept as {_aside(bad).name}, going on from {place.name}" for bad, fault in faults]
            return Checkpoint(step_of(place), read_tensors(place / TENSORS), read_plain(place), place), warnings
        if faults:
            raise IntegrityError(f"{faults[0][1]}; no sound state is left, start over with --overwrite")
        return None, []

    def newest_step(self) -> int | None:
        """The step of the newest checkpoint, its files unread."""
        return next(map(step_of, self._steps()), None)

    def peek(self) -> dict[str, Any] | None:
        """The plain values of the newest sound state, its tensors unread."""
        self._restore()
        return next((read_plain(place) for place in self._steps() if not fault_of(place, self.log, unread=(TENSORS,))), None)

    def cut_log(self, state: Checkpoint | None) -> None:
        """Cuts the log to what it was at a state; to nothing at the start."""
        if self.log.exists():
            os.truncate(self.log, 0 if state is None else read_manifest(state.place)["log"]["size"])
            disk.sync(self.log)

    def carry(self, folder: Path) -> None:
        """Copies the newest state and the log into a run that is staged in `folder`."""
        for place in self._steps()[:1]:
            shutil.copytree(place, folder / STATE / place.name)
            if self.log.exists():
                shutil.copyfile(self.log, folder / STATE / LOG)

    def drop(self) -> None:
        """Removes all states, damaged ones too, and empties the log."""
        for place in self._found(SAVED):
            self._remove(place)
        self._sweep()
        self.cut_log(None)

    def _found(self, pattern: str) -> list[Path]:
        return sorted(path for path in self.path.glob(pattern) if path.is_dir())

    def _steps(self) -> list[Path]:
        """The saved states, the newest first."""
        return sorted((path for path in self._found(SAVED) if STEP.fullmatch(path.name)), key=step_of, reverse=True)

    def _restore(self) -> None:
        """Mends what a kill left between two renames, of the folder of the training or of a state."""
        out = self.path.parent.resolve()
        disk.restore(out.parent, out.name)
        disk.restore(self.path)

    def _sweep(self) -> None:
        """Removes what a killed save left half written or half removed."""
        for path in self._found(f".{SAVED}"):
            shutil.rmtree(path, ignore_errors=True)

    def _remove(self, place: Path) -> None:
        hidden = place.with_name(f".{place.name}.gone")
        shutil.rmtree(hidden, ignore_errors=True)
        disk.rename(place, hidden)  # in one step, so that it is never seen half removed
        shutil.rmtree(hidden, ignore_errors=True)


def _aside(place: Path) -> Path:
    """Renames a damaged state so that it is kept for a look and not taken again."""
    target = place.with_name(f"{place.name}.damaged")
    number = 1
    while target.exists():
        number += 1
        target = place.with_name(f"{place.name}.damaged-{number}")
    try:
        disk.rename(place, target)
        disk.sync(place.parent)
    except OSError:  # the older state serves all the same
        return place
    return target
