"""Writes the log of a training, `metrics.jsonl`: a JSON record per step, evaluation and event.

All training commands write the same records. `docs/reference/metrics.md` lists their fields; `report/log_reader` reads them, and
those of earlier versions.
"""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Any, TextIO, get_args

from mtlkit.config.from_json import to_json
from mtlkit.training.events import Epoch, Tracking
from mtlkit.training.head_incidents import CalibrationFitted, HeadSolved
from mtlkit.training.incidents import (
    FreezeChanged,
    LimitExceeded,
    PhaseEnded,
    Refitted,
    StepSkipped,
    TaskStopped,
    TrainingStopped,
)
from mtlkit.training.loop import Step
from mtlkit.training.train_state import TrainState
from mtlkit.training.validation.small_data import SmallData

SCHEMA = 2  # incremented when a field changes its name or meaning; schema 1 had no "type"
LOGGED = (
    StepSkipped,
    FreezeChanged,
    HeadSolved,
    TaskStopped,
    TrainingStopped,
    LimitExceeded,
    PhaseEnded,
    CalibrationFitted,
    Refitted,
    *get_args(SmallData),
)


def header(command: str, started: str) -> str:
    """The first line of a log. `started` is when the training started, in ISO 8601."""
    return to_json({"type": "header", "schema": SCHEMA, "command": command, "started": started})


class MetricsLog:
    """Writes records to a text file, one per line. `steps` and `epochs` are those of a training before this one, after which its
    own are counted."""

    def __init__(self, file: TextIO, *, steps: int = 0, epochs: int = 0) -> None:
        self.file, self.steps, self.epochs = file, steps, epochs

    def step(self, step: Step[Any], state: TrainState, epoch: int, *, weights: bool = False) -> None:
        """Logs a step of an epoch (from 1), and the progress of the training after it. `weights`: also logs the tasks' loss
        weights.
        """
        record: dict[str, Any] = {
            "type": "step",
            "step": self.steps + step.index + 1,
            "epoch": self.epochs + epoch,
            "losses": step.losses,
            "learning_rate": step.rate,
            "gradient_norm": step.gradient_norm,
            "seconds": round(state.seconds, 3),
            "tokens": state.seen,
        }
        if step.skipped:
            record["skipped"] = True
        if step.spike:
            record["spike"] = asdict(step.spike)
        if weights:
            record["weights"] = step.weights
        if step.tracked:
            record["tracking"] = step.tracked.to_json()
        self._write(record)

    def evaluation(self, epoch: Epoch, *, ends: bool) -> None:
        """Logs an evaluation. `ends`: it is at the end of an epoch, or before training (epoch 0)."""
        record: dict[str, Any] = {
            "type": "epoch" if ends else "validation",
            "step": self.steps + epoch.step,
            "epoch": self.epochs + epoch.epoch,
            "score": epoch.score,
            "best": epoch.best,
            "tasks": [asdict(state) for state in epoch.tasks],
        }
        if epoch.weights:
            record["weights"] = dict(epoch.weights)
        self._write(record)

    def event(self, event: object, step: int) -> None:
        """Logs an event after `step` steps if it is gradient tracking or changed the training or a head; others are ignored."""
        step += self.steps
        if isinstance(event, Tracking):
            self._write({"type": "event", "event": "tracking", "step": step, "tracking": event.summary.to_json()})
        elif isinstance(event, LOGGED):
            name = re.sub("(?<=[a-z])(?=[A-Z])", "_", type(event).__name__).lower()
            self._write({"type": "event", "event": name, **asdict(event), "step": step})

    def _write(self, record: dict[str, Any]) -> None:
        self.file.write(to_json(record) + "\n")
