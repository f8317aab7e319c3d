"""Which model a command takes: the folder asked for, the hub's, or the newest run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from mtlkit.config.architecture import Stage
from mtlkit.config.paths import expand
from mtlkit.config.small_files import Unreadable, check_readable
from mtlkit.errors import IntegrityError, UsageError, listed, shorten, suggest
from mtlkit.runs.record import diagnose, newest

MINI = "mini"
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


@dataclass(frozen=True)
class ModelRef:
    """A model's folder, why it was taken, and its name where that is not the folder."""

    path: Path
    reason: str
    name: str = ""

    def __str__(self) -> str:
        return self.name or str(self.path)


def mini_folder() -> Path:
    """Where the model inside the package lies."""
    return Path(str(resources.files("mtlkit"))) / MINI


def find_model(asked: str | None, runs: Path, stages: Sequence[Stage]) -> ModelRef:
    """The folder, `mini` or the hub id asked for; else the newest run of the first stage that has one; else mini.

    Raises UsageError when what was asked for is not there, NetworkError when the hub cannot be asked.
    """
    if asked == MINI:
        return ModelRef(mini_folder(), "the model inside the package, as asked", MINI)
    if asked is not None:
        return _asked(asked, runs)
    _check_readable(runs, "--runs")
    path = newest(runs, stages)
    if path is None:
        return ModelRef(mini_folder(), f"the model inside the package, as no run under {runs}/ fits", MINI)
    return ModelRef(path, f"the newest run under {runs}/ that fits")


def _check_readable(path: Path, what: str) -> None:
    try:
        check_readable(path)
    except Unreadable as error:
        raise UsageError(f"{what} {shorten(str(path))}: {error}; change its permissions, or name another folder") from None


def _asked(asked: str, runs: Path) -> ModelRef:
    path = expand(asked)
    _check_readable(path, "model")
    if not path.exists():
        if HUB_ID.fullmatch(asked) and not path.parent.is_dir():
            from mtlkit.inference.hub import download

            return ModelRef(download(asked), f"{asked} of the Hugging Face hub")
        raise no_folder(asked, runs)
    if path.is_file():
        what = diagnose(path) or "a file"
        raise IntegrityError(f"{asked}: {what}; name the folder of a run")
    return ModelRef(path, "as asked")


def no_folder(asked: str, runs: Path, what: str = "model") -> UsageError:
    """The error that nothing stands where a folder was named, with the runs that there are."""
    there = [str(one.parent) for one in sorted(runs.glob("*/run.json"))] if runs.is_dir() else []
    known = f"; runs: {listed(there)}" if there else ""
    return UsageError(f"{what} {shorten(asked)}: no such folder{known}{suggest(asked, [MINI, *there])}")
