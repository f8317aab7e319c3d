"""Trackers for tests: one writes what it gets to a file, the others fail in various ways. They run in processes of their own."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mtlkit.config.registries.trackers import TRACKERS
from mtlkit.training.trackers.points import Point
from mtlkit.training.trackers.services.base import Place, State, TrackedRun, TrackerService


class Recording:
    """Appends a line per call to `recorded.jsonl` in its folder."""

    rewinds = False

    def start(self, run: TrackedRun) -> Place:
        print("printed by a library")  # noqa: T201 (to see where it goes)
        self.file = run.folder / "recorded.jsonl"
        asked = sys.stdin.read()  # as a library that asks for a key
        self._add("start", id=run.id, name=run.name, resumed=run.resumed, after=run.after, config=run.config, asked=asked)
        return Place(str(self.file))

    def log(self, points: Sequence[Point]) -> None:
        for point in points:
            self._add("log", step=point.step, values=point.values, text=point.text)

    def finish(self, state: State, scores: Mapping[str, float]) -> None:
        self._add("finish", state=state, scores=scores)

    def _add(self, call: str, **values: Any) -> None:
        with self.file.open("a") as file:
            file.write(json.dumps({"call": call, **values}, default=str) + "\n")


class Raising(Recording):
    """Raises when it starts."""

    def start(self, run: TrackedRun) -> Place:
        raise ConnectionError("no network to https://user:secret@host/path\nsecond line")


class Flaky(Recording):
    """Raises at the first points that it gets."""

    failed = False

    def log(self, points: Sequence[Point]) -> None:
        if not self.failed:
            self.failed = True
            raise ConnectionError("server restarts")
        super().log(points)


class Hanging(Recording):
    """Never returns from its first points."""

    def log(self, points: Sequence[Point]) -> None:
        time.sleep(3600)


class Crashing(Recording):
    """Ends its process."""

    def log(self, points: Sequence[Point]) -> None:
        os._exit(7)


class NotInstalled(Recording):
    """Needs a package that cannot be imported."""

    def start(self, run: TrackedRun) -> Place:
        raise ImportError("libwandb.so: cannot open")


@contextmanager
def added(factory: type[Recording], name: str = "stub") -> Iterator[None]:
    """A tracker in the registry, with this name."""
    TRACKERS.add(TrackerService(name=name, help="for tests.", module="json", extra="stub", factory=factory))
    try:
        yield
    finally:
        del TRACKERS[name]


def recorded(folder: Path, call: str = "log") -> list[dict[str, Any]]:
    """What a `Recording` got, from its folder."""
    lines = map(json.loads, (folder / "recorded.jsonl").read_text().splitlines())
    return [line for line in lines if line["call"] == call]
