"""The declaration of an experiment tracker, and the interface of what it makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from mtlkit.config.registries.methods import Method
from mtlkit.training.trackers.points import Point

GROUP = "Known"  # how --help lists trackers: by their names alone
State = Literal["finished", "interrupted", "failed"]  # how a training ended; it may be resumed after the last two


@dataclass(frozen=True)
class TrackedRun:
    """A training as trackers know it. `id` stays the same when it is resumed; `name` is that of its folder.

    `folder` is where files are written by default. `config` has the options and versions. The training continues `after` a step
    (0: from the start); `resumed`: this tracker has logged it before. `process` is the number of the training's process.
    """

    id: str
    name: str
    project: str
    folder: Path
    config: Mapping[str, Any]
    after: int = 0
    resumed: bool = False
    process: int = 0


@dataclass(frozen=True)
class Place:
    """Where a tracked run is: a folder or an address. `way` says how to look at it, such as "look at it with: COMMAND"; empty for
    an address."""

    where: str
    way: str = ""


class Tracker(Protocol):
    """Logs one training. It runs in a process of its own, so that it may block, print and raise.

    `rewinds`: it forgets steps after `TrackedRun.after` when it starts. Otherwise it gets no record of a resumed training twice.
    """

    rewinds: bool

    def start(self, run: TrackedRun) -> Place:
        """Begins or continues the run. Called again if it raises."""
        ...

    def log(self, points: Sequence[Point]) -> None:
        """Logs points in their order. Called again with the same points if it raises."""
        ...

    def finish(self, state: State, scores: Mapping[str, float]) -> None:
        """Sends what is left and ends. `scores` are the final ones; none unless the training has finished."""
        ...


@dataclass(frozen=True, kw_only=True)
class TrackerService(Method):
    """An experiment tracker in the registry. `extra` of mtlkit installs the package `module`; `factory` is a class or function at
    the top of its module, which imports that package only when the tracker starts."""

    module: str
    extra: str
    factory: Callable[[], Tracker]

    @property
    def path(self) -> str:
        """The factory as `package.module:name`, for another process."""
        return f"{self.factory.__module__}:{self.factory.__qualname__}"
