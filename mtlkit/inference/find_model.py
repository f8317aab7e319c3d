"""Finds the model that a command uses: a folder, a hub model, the newest run, or the bundled model."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from mtlkit.config.architecture import Stage
from mtlkit.config.paths import expand
from mtlkit.config.small_files import Unreadable, check_readable
from mtlkit.errors import IntegrityError, UsageError, listed, shorten, suggest
from mtlkit.model.interop.auto.models import runs_through
from mtlkit.runs.record import diagnose, newest_run

MINI = "mini"
BUNDLED = "the bundled model"  # why a ModelRef is mini
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


@dataclass(frozen=True)
class ModelRef:
    """A model's folder, why it was chosen, and its name if that differs from the folder."""

    path: Path
    reason: str
    name: str = ""

    def __str__(self) -> str:
        return self.name or str(self.path)


def mini_folder() -> Path:
    """The folder of the bundled model."""
    return Path(str(resources.files("mtlkit"))) / MINI


def find_model(name: str | None, runs: Path, stages: Sequence[Stage]) -> ModelRef:
    """The model with a name: a folder, `mini` or a hub id. For None, the newest run in `runs` of the first stage that has one,
    or else mini.

    Raises UsageError if there is no such model, IntegrityError for a file, NetworkError if the hub cannot be reached.
    """
    if name == MINI:
        return ModelRef(mini_folder(), BUNDLED, MINI)
    if name is not None:
        return _find_named(name, runs)
    _check_readable(runs, "--runs")
    path = newest_run(runs, stages)
    if path is None:
        return ModelRef(mini_folder(), f"{BUNDLED}; no compatible run in {runs}/", MINI)
    return ModelRef(path, f"the newest compatible run in {runs}/{backbone_note(path)}")


def _check_readable(path: Path, what: str) -> None:
    try:
        check_readable(path)
    except Unreadable as error:
        raise UsageError(f"{what} {shorten(str(path))}: {error}; change its permissions or specify another folder") from None


def _find_named(name: str, runs: Path) -> ModelRef:
    path = expand(name)
    _check_readable(path, "model")
    if not path.exists():
        if HUB_ID.fullmatch(name) and not path.parent.is_dir():
            from mtlkit.inference.hub import download

            return ModelRef(folder := download(name), f"{name} from the Hugging Face Hub{backbone_note(folder)}")
        raise folder_not_found(name, runs)
    if path.is_file():
        reason = diagnose(path) or "a file, not a folder"
        raise IntegrityError(f"{name}: {reason}; specify the folder of a model")
    return ModelRef(path, f"as specified{backbone_note(path)}")


def backbone_note(folder: Path) -> str:
    """Says that a model runs through transformers, for the first line of a command; empty if mtlkit's own encoder runs it."""
    kind = runs_through(folder)
    return f"; {kind} runs through transformers (slower than mtlkit's own encoder)" if kind else ""


def folder_not_found(name: str, runs: Path, what: str = "model") -> UsageError:
    """The error for a folder that does not exist, which lists the existing runs."""
    existing = [str(record.parent) for record in sorted(runs.glob("*/run.json"))] if runs.is_dir() else []
    known = f"; runs: {listed(existing)}" if existing else ""
    several = [part.strip() for part in name.split(",")]
    if len(several) > 1 and all(os.path.isdir(part) for part in several):
        return UsageError(f"{what} {shorten(name)}: no such folder; folders are given one by one, with spaces between them")
    return UsageError(f"{what} {shorten(name)}: no such folder{known}{suggest(name, [MINI, *existing])}")
