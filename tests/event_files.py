"""Reads TensorBoard's event files with its own reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tensorboard.backend.event_processing.event_accumulator import SCALARS, EventAccumulator


def read_events(folder: Path) -> Any:
    """The event files of the only run in `tracking/tensorboard` of a folder with runs."""
    (run,) = (folder / "tracking" / "tensorboard").iterdir()
    events = EventAccumulator(str(run), size_guidance={SCALARS: 0})
    events.Reload()
    return events


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """The points of each series, as TensorBoard draws them."""
    events = read_events(folder)
    return {tag: [(point.step, point.value) for point in events.Scalars(tag)] for tag in events.Tags()[SCALARS]}
