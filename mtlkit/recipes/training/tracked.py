"""What trackers are told about a training."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from mtlkit.config.common import TrainingOptions
from mtlkit.recipes.inputs.command_line import command_line, plain
from mtlkit.runs.record import PACKAGES

LEFT_OUT = ("resume", "overwrite", "extend", "verbose", "track", "save_every", "keep_state")  # they do not affect the result


def run_config(command: str, options: TrainingOptions) -> dict[str, Any]:
    """The command, its options, and versions."""
    values = {name: value for name, value in plain(options).items() if name not in LEFT_OUT}
    versions = {package: version(package) for package in PACKAGES}
    return {"command": command_line(command, options), **values, "versions": versions}
