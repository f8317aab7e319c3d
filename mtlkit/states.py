"""Saved states of a training that runs: under `state/` in its folder, each whole or absent, the two newest kept."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtlkit import disk
from mtlkit.errors import IntegrityError, SavingError
from mtlkit.runs import LOG, SAVED, STATE, file_digest, write_json
from mtlkit.runs import holds_state as holds_state
from mtlkit.state_lock import locked

if TYPE_CHECKING:
    from torch import Tensor

FORMAT = 1
TENSORS, PLAIN, MANIFEST = "tensors.safetensors", "state.json", "manifest.json"
KEPT = 2
NAME = re.compile(r"step-(\d{8,})")


@dataclass(frozen=True)
class State:
    """What a training needs to go on from a step: tensors, and plain values as JSON knows them."""

    step: int
    tensors: dict[str, Tensor]
    plain: dict[str, Any]
    place: Path


class StateFolder:
    """The saved states of the training that writes to `out`, and its log so far."""

    def __init__(self, out: Path) -> None:
        self.path = out / STATE
        self.log = self.path / LOG

    @contextmanager
    def lock(self, command: str) -> Iterator[None]:
        """Makes the folder and keeps other writers out of it; leaves nothing behind when nothing was saved.
        Raises UsageError that names the first writer."""
        made, empty = not self.path.parent.exists(), False
        try:
            with locked(self.path, command):
                self._restore()
                try:
                    yield
                finally:
                    if empty := self.path.is_dir() and not self._found(SAVED):
                        self._sweep()
                        self.log.unlink(missing_ok=True)
        finally:
            if empty:
                with suppress(OSError):  # another writer may be there already
                    self.path.rmdir()
                    if made:
                        self.path.parent.rmdir()

    def save(self, step: int, tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> None:
        """Saves a state with the log as it now stands, then removes all but the two newest. Raises SavingError."""
        place = self.path / f"step-{step:08d}"
        folder: Path | None = None
        self._restore()
        before = self._steps()
        try:
            self._sweep()
            folder = Path(tempfile.mkdtemp(dir=self.path, prefix=f".{place.name}."))
            write_tensors(folder / TENSORS, tensors)
            disk.write(folder / PLAIN, json.dumps(plain).encode())
            if self.log.exists():
                disk.sync(self.log)
            write_json(folder / MANIFEST, _signed(step, [folder / TENSORS, folder / PLAIN], self.log))
            disk.settle(folder)
            disk.put(folder, place)
        except OSError as error:
            rest = f"the state of step {_step(before[0])} stands" if before else "no state was saved before"
            raise SavingError(
                f"{self.path}: the state of step {step} cannot be saved: {error.strerror or error}; {rest}; make room and resume"
            ) from None
        finally:
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)
        for old in self._steps()[KEPT:]:
            with suppress(OSError):  # the next save comes back to it
                self._remove(old)

    def newest(self) -> tuple[State | None, list[str]]:
        """The newest sound state, and a warning for each damaged one, which is renamed aside.
        Raises IntegrityError when all are damaged."""
        self._restore()
        faults: list[tuple[Path, str]] = []
        for place in self._steps():
            if fault := _fault(place, self.log):
                faults.append((place, fault))
                continue
            warnings = [f"{fault}; kept as {_aside(bad).name}, going on from {place.name}" for bad, fault in faults]
            return State(_step(place), read_tensors(place / TENSORS), _plain(place), place), warnings
        if faults:
            raise IntegrityError(f"{faults[0][1]}; no sound state is left, start over with --overwrite")
        return None, []

    def peek(self) -> dict[str, Any] | None:
        """The plain values of the newest sound state, its tensors unread."""
        self._restore()
        return next((_plain(place) for place in self._steps() if not _fault(place, self.log, unread=(TENSORS,))), None)

    def cut_log(self, state: State | None) -> None:
        """Cuts the log to what it was at a state; to nothing at the start."""
        if self.log.exists():
            os.truncate(self.log, 0 if state is None else _manifest(state.place)["log"]["size"])
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
        return sorted((path for path in self._found(SAVED) if NAME.fullmatch(path.name)), key=_step, reverse=True)

    def _restore(self) -> None:
        """Mends what a kill left between two renames, of the folder of the training or of a state."""
        disk.restore(self.path.parent.parent)
        disk.restore(self.path)

    def _sweep(self) -> None:
        """Removes what a killed save left half written or half removed."""
        for path in self._found(f".{SAVED}"):
            shutil.rmtree(path, ignore_errors=True)

    def _remove(self, place: Path) -> None:
        hidden = Path(tempfile.mkdtemp(dir=self.path, prefix=f".{place.name}."))
        disk.rename(place, hidden)  # in one step, so that it is never seen half removed
        shutil.rmtree(hidden, ignore_errors=True)


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Writes tensors of any kind, those that share memory too. Raises OSError."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    copies: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        copy = tensor.detach().cpu().contiguous()
        if (memory := copy.untyped_storage().data_ptr()) in seen:
            copy = copy.clone()
        seen.add(memory)
        copies[name] = copy
    try:
        save_file(copies, path)
    except SafetensorError as error:
        raise OSError(str(error)) from None


def read_tensors(path: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    return load_file(path)


def _step(place: Path) -> int:
    return int(place.name.removeprefix("step-"))


def _aside(place: Path) -> Path:
    """Renames a damaged state so that it is kept for a look and not taken again."""
    target = place.with_name(f"{place.name}.damaged")
    number = 1
    while target.exists():
        number += 1
        target = place.with_name(f"{place.name}.damaged-{number}")
    disk.rename(place, target)
    disk.sync(place.parent)
    return target


def _signed(step: int, files: list[Path], log: Path) -> dict[str, Any]:
    """A manifest: size and digest of each file and of the log so far, and a digest of all that."""
    size = log.stat().st_size if log.exists() else 0
    value = {
        "format": FORMAT,
        "step": step,
        "files": {path.name: {"size": path.stat().st_size, "sha256": file_digest(path)} for path in files},
        "log": {"size": size, "sha256": file_digest(log, size) if log.exists() else sha256().hexdigest()},
    }
    return {**value, "sha256": _digest(value)}


def _digest(value: Mapping[str, Any]) -> str:
    return sha256(json.dumps({key: value[key] for key in value if key != "sha256"}, sort_keys=True).encode()).hexdigest()


def _manifest(place: Path) -> dict[str, Any]:
    """What a manifest holds. Raises ValueError that says what is wrong with it."""
    try:
        value = json.loads((place / MANIFEST).read_bytes())
        found, wanted = _digest(value), value["sha256"]
    except OSError as error:
        raise ValueError(error.strerror) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"damaged ({error})") from None
    if found != wanted:
        raise ValueError(f"SHA-256 of its values is {found}, it says {wanted}")
    if value["format"] > FORMAT:
        raise IntegrityError(f"{place}: written by a newer mtlkit (format {value['format']}); update mtlkit")
    return dict(value)


def _plain(place: Path) -> dict[str, Any]:
    return dict(json.loads((place / PLAIN).read_bytes()))


def _fault(place: Path, log: Path, unread: tuple[str, ...] = ()) -> str | None:
    """What is wrong with a saved state, in words; of the files in `unread` only the size is looked at."""
    try:
        manifest = _manifest(place)
    except ValueError as error:
        return f"{place / MANIFEST}: {error}"
    if manifest["step"] != _step(place):
        return f"{place}: holds the state of step {manifest['step']}"
    wanted = {place / name: about for name, about in manifest["files"].items()}
    for path, about in [*wanted.items(), (log, manifest["log"])]:
        try:
            size = path.stat().st_size if path.exists() or about["size"] else 0
            size = min(size, about["size"]) if path == log else size  # it has grown since
            same = size == about["size"]
            if same and (not size or path.name in unread):
                continue
            found = file_digest(path, size)
        except OSError as error:
            return f"{path}: {error.strerror}"
        if not same or found != about["sha256"]:
            says = f"{MANIFEST} of {place.name} says {about['size']} bytes with {about['sha256']}"
            return f"{path}: {size} bytes with SHA-256 {found}, {says}; damaged"
    return None
