"""TensorBoard: event files, written without TensorFlow and torch."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from mtlkit.config.registries.trackers import TRACKERS
from mtlkit.config.shell import command_text
from mtlkit.training.trackers.points import FINAL, Point, flat
from mtlkit.training.trackers.services.base import GROUP, Place, State, TrackedRun, TrackerService

FILE_VERSION = "brain.Event:2"  # from it on, readers forget later steps when a session starts again


class TensorBoard:
    """Event files in a folder of the run. A resumed training starts another file, which takes back later steps."""

    rewinds = True

    def start(self, run: TrackedRun) -> Place:
        from tensorboard.compat.proto.event_pb2 import SessionLog
        from tensorboard.plugins.hparams import summary_v2
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        folder = run.folder / "tensorboard"
        self.writer = EventFileWriter(str(folder / f"{run.name}-{run.id}"))
        if run.resumed:
            self._add(file_version=FILE_VERSION)
            self._add(step=run.after + 1, session_log=SessionLog(status=SessionLog.START))
        else:
            self._add(summary=summary_v2.hparams_pb(dict(flat(run.config)), trial_id=run.id))
        self.writer.flush()
        self.last = run.after
        show = command_text(["tensorboard", "--logdir", str(folder)])
        return Place(str(folder / f"{run.name}-{run.id}"), f"look at it with: {show}")

    def log(self, points: Sequence[Point]) -> None:
        for point in points:
            self._scalars(point.step, point.values)
        self.last = points[-1].step
        self.writer.flush()

    def finish(self, state: State, scores: Mapping[str, float]) -> None:
        self._scalars(self.last, {f"{FINAL}/{name}": value for name, value in scores.items()})
        self.writer.close()

    def _scalars(self, step: int, values: Mapping[str, float]) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        if values:
            scalars = [Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
            self._add(step=step, summary=Summary(value=scalars))

    def _add(self, **fields: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        self.writer.add_event(Event(wall_time=time.time(), **fields))


TRACKERS.add(
    TrackerService(
        name="tensorboard",
        help="event files.",
        group=GROUP,
        rank=1,
        module="tensorboard",
        extra="tensorboard",
        factory=TensorBoard,
    )
)
