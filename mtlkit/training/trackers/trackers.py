"""All trackers of a training: started with its log, told how it ended, and never waited for in between."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import Any

from mtlkit.config.registries.trackers import TRACKERS, track_wait
from mtlkit.errors import StoppedError, listed
from mtlkit.training.events import Event, Note
from mtlkit.training.trackers.points import numbers
from mtlkit.training.trackers.process import TrackerProcess
from mtlkit.training.trackers.services.base import State
from mtlkit.training.trackers.worker import Order

FOLDER, OWN = "tracking", ".mtlkit"  # beside the run, with what trackers write; in it, positions and what they print
PROJECT = "mtlkit"
STOP_WAIT = 5.0  # seconds, at most, that a training waits for trackers when it is stopped; a resumed one sends the rest
QUICK = 1.0  # seconds of waiting that are not worth a message


def new_id() -> str:
    """An id of a tracked run, in the order of time."""
    return f"{datetime.now(timezone.utc):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


class Trackers:
    """The trackers of a training that writes to the folder `out`; a context at whose end they have ended.

    `state` is kept in checkpoints: the id of the tracked run and how many lines of the log each tracker has sent. `saved` is that
    of the checkpoint from which the training resumes.
    """

    def __init__(self, names: Sequence[str], out: Path, saved: Mapping[str, Any] | None = None) -> None:
        self.names, self.out = names, out
        self.folder = out.parent / FOLDER
        self.state: dict[str, Any] = (
            {"id": saved["id"], "lines": dict(saved["lines"])} if saved else {"id": new_id(), "lines": {}}
        )
        self.processes: list[TrackerProcess] = []
        self._failed: list[Note] = []

    def start(self, log: Path, config: Mapping[str, Any], after: int) -> None:
        """Starts the trackers of a training that continues after a step. The log exists, with the records up to there."""
        own, kept = self.folder / OWN, lines_of(log) if self.names else 0
        for name in self.names:
            run = {"id": self.state["id"], "name": self.out.name, "project": PROJECT, "folder": str(self.folder)}
            file = own / f"{self.state['id']}-{name}.json"
            order = Order(
                run={**run, "config": dict(config), "after": after},
                factory=TRACKERS[name].path,
                log=str(log),
                position=str(file),
                kept=kept,
                known=self.state["lines"].get(name, 0),
                patience=track_wait(),
            )
            try:
                own.mkdir(parents=True, exist_ok=True)
                self.processes.append(TrackerProcess(TRACKERS[name], order, file.with_suffix(".log")))
            except OSError as error:
                reason = f"cannot start ({error.strerror or error}: {error.filename})"
                self._failed.append(Note(f"--track {name}: {reason}; the training goes on without it", warning=True))

    def along(self, events: Iterable[Event]) -> Iterator[Event]:
        """The events of the training, with messages of trackers in between."""
        for event in events:
            yield event
            yield from self.take_notes()

    def take_notes(self) -> Iterator[Note]:
        """The messages since the last call."""
        for process in self.processes:
            self.state["lines"][process.service.name] = process.lines
            yield from process.take_notes()
        while self._failed:
            yield self._failed.pop()

    def finish(self, metrics: Mapping[str, Any], log: Path) -> Iterator[Note]:
        """Sends the final scores and waits for a while until all is sent. Says what was not. `log` is where the log is now."""
        if not self.processes:
            return
        deadline = time.monotonic() + track_wait()
        self._end("finished", dict(numbers(dict(metrics), "")), log)
        if slow := [process for process in self.processes if not process.wait(min(QUICK, deadline - time.monotonic()))]:
            yield from self.take_notes()
            names = listed(process.service.name for process in slow if process.alive)
            if names:
                yield Note(f"waiting up to {track_wait():.0f} s until {names} has sent the rest; Ctrl-C leaves it out")
        for process in slow:  # time that one needs is time for the others, too
            process.wait(max(0.0, deadline - time.monotonic()))
        yield from self.take_notes()
        total = lines_of(log)
        for process in self.processes:
            if not process.done:
                left = f"{max(0, total - process.lines):,} of {total:,} records were not sent"
                yield Note(f"--track {process.service.name}: {left}; {self.out} has all of them", warning=True)
        self._kill()

    def _end(self, state: State, scores: Mapping[str, float], log: Path) -> None:
        scores = {name.removeprefix("/"): value for name, value in scores.items()}
        for process in self.processes:
            process.end(state, scores, log)

    def _kill(self) -> None:
        while self.processes:
            self.processes.pop().kill()

    def __enter__(self) -> Trackers:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if not self.processes:
            return
        try:
            at_once = isinstance(error, (KeyboardInterrupt, GeneratorExit))
            stopped = at_once or isinstance(error, StoppedError)
            self._end("interrupted" if stopped else "failed", {}, self.processes[0].log)
            deadline = time.monotonic() + (0.0 if at_once else min(STOP_WAIT, track_wait()))
            for process in self.processes:
                process.wait(max(0.0, deadline - time.monotonic()))
        finally:
            self._kill()


def lines_of(log: Path) -> int:
    """The number of complete lines of a log; 0 if it cannot be read."""
    try:
        with log.open("rb") as file:
            return sum(line.endswith(b"\n") for line in file)
    except OSError:
        return 0
