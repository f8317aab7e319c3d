"""Checks what `--track` needs, and what trackers are told about a training."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

from mtlkit.config.common import TrainingOptions
from mtlkit.config.registries.trackers import chosen_trackers, track_wait
from mtlkit.errors import UsageError
from mtlkit.recipes.inputs.command_line import command_line, plain
from mtlkit.runs.record import PACKAGES
from mtlkit.training.trackers.trackers import FOLDER

LEFT_OUT = (
    "resume",
    "overwrite",
    "extend",
    "verbose",
    "track",
    "recompute",
    "save_every",
    "keep_state",
)  # they do not affect the result


def check_tracking(options: TrainingOptions, out: Path) -> None:
    """Raises UsageError if a tracker is not installed, or if its files would be in the run."""
    if chosen_trackers(options.track) and out.name == FOLDER:
        raise UsageError(f"--out {out}: trackers write to a folder of that name beside the run; choose another with --out")
    track_wait()


def run_config(command: str, options: TrainingOptions) -> dict[str, Any]:
    """The command, its options, and versions."""
    values = {name: value for name, value in plain(options).items() if name not in LEFT_OUT}
    versions = {package: version(package) for package in PACKAGES}
    return {"command": command_line(command, options), **values, "versions": versions}
