"""Reads from the log of a training how far it got, and what it measured of its gradients."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from mtlkit.report.log_reader import read_log
from mtlkit.training.diagnostics.gradient_stats import TrackedStep


def read_steps(path: Path) -> tuple[dict[int, TrackedStep], Mapping[str, Any]]:
    """The measurements of gradients by step, and the last record of a step. Measurements in the form of an earlier version are
    left out; a step that was repeated after a resume replaces the earlier one.

    Raises UsageError if the file cannot be read, IntegrityError that names a damaged line.
    """
    tracked: dict[int, TrackedStep] = {}
    last: Mapping[str, Any] = {}

    def take(line: Mapping[str, Any]) -> None:
        nonlocal last
        if line.get("event") is not None or not ("losses" in line or "loss" in line):
            return
        last = line
        if isinstance(line.get("tracking"), dict):
            with suppress(KeyError, TypeError, ValueError, AttributeError):
                tracked[int(line["step"])] = TrackedStep.from_json(line["tracking"])

    read_log(path, take)
    return dict(sorted(tracked.items())), last
