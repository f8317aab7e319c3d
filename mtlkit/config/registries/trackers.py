"""The experiment trackers of `--track` by name. They are defined in `mtlkit/training/trackers/services/`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from importlib.util import find_spec
from typing import Any

from mtlkit.config.option import finite
from mtlkit.config.registries.registry import Registry
from mtlkit.errors import UsageError, shorten

TRACKERS: Registry[Any] = Registry("tracker", "mtlkit.training.trackers.services")
NO_TRACKER = "none"
WAIT, WAIT_SECONDS = "MTLKIT_TRACK_WAIT", 30.0  # the environment variable of `track_wait`, and the default


def parse_track(text: str) -> list[str]:
    """The names in a value such as "tensorboard,wandb"; "none" stands for no tracker. Raises UsageError for an unknown name."""
    names = [name.strip() for name in text.split(",")]
    if names == [NO_TRACKER]:
        return []
    for name in names:
        if name == NO_TRACKER:
            raise UsageError(f"--track {shorten(text)}: none stands alone; remove it, or the others")
        TRACKERS.find(name, f"--track {shorten(text)}")
    return names


def chosen_trackers(values: Iterable[str]) -> tuple[str, ...]:
    """The trackers that values of `--track` name, each once. Raises UsageError if one is unknown or not installed."""
    names = tuple(dict.fromkeys(name for text in values for name in parse_track(text)))
    for name in names:
        service = TRACKERS[name]
        if not _is_installed(service.module):
            raise UsageError(
                f"--track {name} needs {service.module}, which is not installed; run: pip install 'mtlkit[{service.extra}]'"
            )
    return names


def _is_installed(module: str) -> bool:
    """Whether a package can be imported. A folder of that name without code is none: W&B writes to a folder `wandb`."""
    spec = find_spec(module)
    return spec is not None and spec.origin is not None


def track_wait() -> float:
    """The seconds that the end of a training waits for its trackers. Raises UsageError."""
    text = os.environ.get(WAIT) or str(WAIT_SECONDS)
    seconds = finite(text)
    if seconds is None or seconds < 0:
        raise UsageError(f"{WAIT}={shorten(text)}: not a number of seconds; use one such as 60")
    return seconds
