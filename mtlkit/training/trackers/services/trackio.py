"""trackio: a database on this machine, or a Space of the Hugging Face Hub if the environment names one."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from mtlkit.config.registries.trackers import TRACKERS
from mtlkit.config.shell import command_text
from mtlkit.training.trackers.points import FINAL, Point, flat
from mtlkit.training.trackers.services.base import GROUP, Place, State, TrackedRun, TrackerService


class Trackio:
    """A run of a project in trackio's store. Its name has the id, as trackio finds runs by their names."""

    rewinds = False

    def start(self, run: TrackedRun) -> Place:
        folder = os.environ.setdefault("TRACKIO_DIR", str(run.folder / "trackio"))  # trackio reads it when imported
        import trackio

        project = os.environ.get("TRACKIO_PROJECT") or run.project
        self.run: Any = trackio.init(
            project=project,
            name=f"{run.name}-{run.id}",
            config=dict(flat(run.config)),
            resume="allow",
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )
        self.last = run.after
        if remote := os.environ.get("TRACKIO_SPACE_ID") or os.environ.get("TRACKIO_SERVER_URL", "").partition("?")[0]:
            return Place(f"{project} on {remote}")
        show = command_text(["env", f"TRACKIO_DIR={folder}", "trackio", "show", "--project", project])
        return Place(folder, f"look at it with: {show}")

    def log(self, points: Sequence[Point]) -> None:
        for point in points:
            if point.values:
                self.run.log(dict(point.values), step=point.step)
        self.last = points[-1].step

    def finish(self, state: State, scores: Mapping[str, float]) -> None:
        if scores:
            self.run.log({f"{FINAL}/{name}": value for name, value in scores.items()}, step=self.last)
        self.run.finish()


TRACKERS.add(
    TrackerService(
        name="trackio",
        help="a database on this machine, or a Space.",
        group=GROUP,
        rank=2,
        module="trackio",
        extra="trackio",
        factory=Trackio,
    )
)
