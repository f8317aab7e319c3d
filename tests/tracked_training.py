"""A training as trackers see it: a log that grows, checkpoints, an end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tracker_stubs import recorded

from mtlkit.errors import StoppedError
from mtlkit.training.events import Note
from mtlkit.training.trackers.trackers import Trackers

LONGEST = 60.0  # seconds


class Training:
    """The log of a training in `out/state`, and its trackers."""

    def __init__(self, folder: Path, name: str = "stub") -> None:
        self.name, self.folder = name, folder / "tracking"
        self.out = folder / "mtl"
        self.log = self.out / "state" / "metrics.jsonl"
        self.log.parent.mkdir(parents=True)
        self.log.write_text('{"type": "header", "schema": 2, "command": "train-mtl"}\n')
        self.notes: list[Note] = []

    def write(self, *steps: int, factor: float = 1.0) -> None:
        with self.log.open("a") as file:
            for step in steps:
                record = {"type": "step", "step": step, "epoch": 1, "losses": {"topic": factor / step}}
                file.write(json.dumps(record) + "\n")

    def evaluate(self, step: int) -> None:
        tasks = [{"task": "topic", "train_loss": 0.5, "validation": {"accuracy": 0.75}}]
        record = {"type": "epoch", "step": step, "epoch": 1, "score": 0.75, "tasks": tasks}
        with self.log.open("a") as file:
            file.write(json.dumps(record) + "\n")

    def cut(self, lines: int) -> None:
        self.log.write_text("".join(f"{line}\n" for line in self.log.read_text().splitlines()[:lines]))

    def start(self, *, after: int = 0, saved: Mapping[str, Any] | None = None) -> Trackers:
        trackers = Trackers([self.name], self.out, saved)
        trackers.start(self.log, {"epochs": 3, "task": ["topic=a.csv", "<b>"], "size": "xs"}, after)
        return trackers

    def stop(self, trackers: Trackers) -> None:
        """Ends as a training that was stopped."""
        trackers.__exit__(StoppedError, StoppedError("stopped", 2), None)

    def stopped_and_resumed(self, factor: float = 1.0) -> None:
        """Trains up to step 5, with a checkpoint of step 3; resumed there, to step 6, with losses that differ by a factor."""
        trackers = self.start()
        self.write(1, 2, 3)
        self.until(trackers, lambda: trackers.processes[0].lines == 4)
        saved = json.loads(json.dumps(trackers.state))
        self.write(4, 5)
        self.until(trackers, lambda: trackers.processes[0].lines == 6)
        self.stop(trackers)
        self.cut(4)
        with self.start(after=3, saved=saved) as trackers:
            self.write(4, 5, 6, factor=factor)
            self.evaluate(6)
            self.finish(trackers)

    def until(self, trackers: Trackers, happens: Callable[[], bool]) -> None:
        last = time.monotonic() + LONGEST
        while not happens():
            assert time.monotonic() < last, self.notes
            self.notes += trackers.take_notes()
            time.sleep(0.02)

    def finish(self, trackers: Trackers) -> None:
        self.notes += trackers.finish({"score": 0.5, "validation": {"topic": {"accuracy": 0.75}}}, self.log)

    @property
    def warnings(self) -> list[str]:
        return [note.text for note in self.notes if note.warning]

    @property
    def steps(self) -> list[int]:
        """The steps that the stub has recorded."""
        return [line["step"] for line in recorded(self.out.parent / "tracking")]
