"""Small runs and checkpoints on disk, and scenes for fault injection: (setup, action) by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from mtlkit.config.architecture import Stage
from mtlkit.runs.checkpoints import CheckpointManager
from mtlkit.runs.record import RunRecord
from mtlkit.runs.staging import finish, staged

COMMAND = "mtlkit train-mtl --epochs 2"


def record(stage: Stage = "mtl") -> RunRecord:
    return RunRecord(stage, "mtlkit train-mtl", {"epochs": 2}, 7, {"topic": {}}, {"score": 0.5})


def make_run(
    out: Path, content: str = "weights", stage: Stage = "mtl", before_the_end: Callable[[Path], None] = lambda _: None
) -> Path:
    out.parent.mkdir(parents=True, exist_ok=True)
    with staged(out) as folder:
        (folder / "model.safetensors").write_text(content)
        (folder / "config.json").write_text("{}")
        before_the_end(folder)
        finish(folder, out, record(stage))
    return out


def save(out: Path, *steps: int, note: str = "") -> CheckpointManager:
    """Saves a checkpoint at each of the steps, after a line in the log."""
    folder = CheckpointManager(out)
    with folder.lock(COMMAND):
        for step in steps:
            with folder.log.open("a") as log:
                log.write(f'{{"step": {step}, "loss": 0.5}}\n')
            folder.save(step, {"weight": torch.full((3, 4), float(step))}, {"seen": step, "note": note})
    return folder


def nothing(out: Path) -> None:
    """Leaves the path empty."""


Scene = tuple[Callable[[Path], object], Callable[[Path], object]]

SCENES: dict[str, Scene] = {
    "the first checkpoint": (nothing, lambda out: save(out, 30)),
    "the next checkpoint": (lambda out: save(out, 10, 20), lambda out: save(out, 30)),
    "a checkpoint again": (lambda out: save(out, 10, 20), lambda out: save(out, 20, note="again")),
    "a run": (nothing, lambda out: make_run(out, "new")),
    "a run over another": (lambda out: make_run(out, "old"), lambda out: make_run(out, "new")),
    "a run over its checkpoints": (lambda out: save(out, 10, 20), lambda out: make_run(out, "new")),
}
