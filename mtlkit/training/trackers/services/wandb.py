"""Weights & Biases: online where there is a key, otherwise offline files for `wandb sync`. It never asks for a key."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from mtlkit.config.registries.trackers import TRACKERS
from mtlkit.config.shell import command_text
from mtlkit.training.trackers.points import FINAL, Point, flat
from mtlkit.training.trackers.services.base import GROUP, Place, State, TrackedRun, TrackerService

STEP = "step"  # what charts are drawn over: W&B's own count takes no second record of a step


class WeightsAndBiases:
    """A run of W&B. Its id is that of the training, so that W&B continues the run when the training is resumed."""

    rewinds = False

    def start(self, run: TrackedRun) -> Place:
        import wandb

        os.environ.setdefault("WANDB_DIR", str(run.folder))
        run.folder.mkdir(parents=True, exist_ok=True)  # else W&B writes to the system's temporary folder
        mode = os.environ.get("WANDB_MODE") or ("online" if _has_key(wandb) else "offline")
        project = os.environ.get("WANDB_PROJECT") or run.project
        self.end = wandb.teardown
        settings = wandb.Settings(silent=True, console="off", x_stats_pid=run.process)
        self.run: Any = wandb.init(
            project=project,
            id=run.id,
            name=os.environ.get("WANDB_NAME") or run.name,
            config=dict(flat(run.config)),
            mode=mode,
            resume="allow",
            settings=settings,
        )
        self.count = int(self.run.step)
        self.run.define_metric(STEP, hidden=True)
        self.run.define_metric("*", step_metric=STEP)
        if mode == "online":
            return Place(str(self.run.url))
        folder = str(self.run.dir).removesuffix("files").rstrip("/\\")
        return Place(folder, f"send it to W&B with: {command_text(['wandb', 'sync', folder])}")

    def log(self, points: Sequence[Point]) -> None:
        for point in points:
            if point.values:
                self.count = max(self.count + 1, point.line)  # continues where offline files of the same run ended
                self.run.log({**point.values, STEP: point.step}, step=self.count)

    def finish(self, state: State, scores: Mapping[str, float]) -> None:
        self.run.summary.update({f"{FINAL}/{name}": value for name, value in scores.items()})
        if state == "interrupted":
            self.run.mark_preempting()
        self.run.finish(exit_code=0 if state == "finished" else 1)
        self.end()  # W&B's own process writes its files to the end


def _has_key(wandb: Any) -> bool:
    """Whether the environment or a file of W&B has a key. Asks neither a user nor the network."""
    with suppress(Exception):
        return bool(wandb.login(prompt=False, verify=False))
    return False


TRACKERS.add(
    TrackerService(
        name="wandb",
        help="Weights & Biases, offline without a key.",
        group=GROUP,
        rank=3,
        module="wandb",
        extra="wandb",
        factory=WeightsAndBiases,
    )
)
