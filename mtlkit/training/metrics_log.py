"""The log of a training, `metrics.jsonl`: a JSON record for every step, evaluation and event."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, TextIO

from mtlkit.config.from_json import to_json
from mtlkit.training.diagnostics.gradient_stats import TrackingSummary
from mtlkit.training.events import Epoch
from mtlkit.training.loop import Step


class MetricsLog:
    """Writes records to a text file, one per line."""

    def __init__(self, file: TextIO) -> None:
        self.file = file

    def step(self, step: Step[Any], *, weights: bool) -> None:
        """A step; with the tasks' loss `weights` where they change."""
        line = {"step": step.index + 1, "losses": step.losses, "gradient_norm": step.gradient_norm, "rate": step.rate}
        changing = {"weights": step.weights} if weights else {}
        tracked = {"tracking": step.tracked.to_json()} if step.tracked else {}
        spike = {"spike": str(step.spike)} if step.spike else {}
        self.write({**line, **({"skipped": True} if step.skipped else {}), **spike, **changing, **tracked})

    def evaluation(self, epoch: Epoch, *, ends: bool) -> None:
        """An evaluation; `ends`: it ends an epoch."""
        place = {"epoch": epoch.epoch} if ends else {"step": epoch.step}
        weights = {"weights": dict(epoch.weights)} if epoch.weights else {}
        self.write({**place, "tasks": [asdict(state) for state in epoch.tasks], **weights})

    def tracking(self, epoch: int, summary: TrackingSummary) -> None:
        """What gradient tracking measured in an epoch."""
        self.write({"after_epoch": epoch, "tracking": summary.to_json()})

    def write(self, record: dict[str, Any]) -> None:
        self.file.write(to_json(record) + "\n")
