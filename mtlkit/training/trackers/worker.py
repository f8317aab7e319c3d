"""The process of a tracker: follows the log of a training and gives its records to the tracker.

It is fed orders, one JSON object per line: what to track, and how the training ended. The end of its input means that the
training's process is gone. Answers go back the same way. Whatever the tracker's library prints goes to a file, and it has no
terminal to ask questions on.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from pkgutil import resolve_name
from typing import IO, Any

from filelock import FileLock

from mtlkit.config.from_json import parse_object, to_json
from mtlkit.errors import first_line
from mtlkit.training.trackers.points import point_of
from mtlkit.training.trackers.position import LogReader, Position
from mtlkit.training.trackers.services.base import State, TrackedRun, Tracker

POLL, BATCH = 0.5, 500  # seconds between looks at the log; records that a tracker gets at once
LONGEST_PAUSE = 300.0  # seconds between two attempts at what fails
LAST_TRIES = 2  # attempts at what fails once the training has ended
USER = re.compile(r"//[^/@\s\"]+@")  # the name and password in an address, which are not shown


class GivenUpError(Exception):
    """A tracker that has failed too often."""


@dataclass(frozen=True)
class Order:
    """What to track: the run, the factory of the tracker, the log, and the file of its position. The log had `kept` lines when
    the training started or was resumed, of which the tracker had logged `known` according to the checkpoint. After the end of the
    training, or of its process, `patience` seconds are left.
    """

    run: dict[str, Any]
    factory: str
    log: str
    position: str
    kept: int
    known: int
    patience: float


class Worker:
    """Follows the log until the end of the training."""

    def __init__(self, orders: IO[str], answers: IO[str]) -> None:
        self.orders, self.answers = orders, answers
        self.order = Order(**parse_object(orders.readline()))
        self.log, self.position_file = Path(self.order.log), Path(self.order.position)
        self.state: State = "interrupted"
        self.scores: dict[str, float] = {}
        self.ended = threading.Event()

    def run(self) -> None:
        """Tracks to the end. Raises GivenUpError."""
        threading.Thread(target=self._listen, daemon=True).start()
        lock = self.position_file.with_suffix(".lock")
        with FileLock(lock):  # of a process that still sends what came before a resume
            tracker = self._started()
            while True:
                ended = self.ended.is_set()  # asked before reading, so that nothing that was written before is missed
                self.reader.path = self.log
                if batch := self.reader.read(BATCH):
                    read = [(position.lines, point_of(record)) for position, record in batch]
                    points = [replace(point, line=line) for line, point in read if point is not None]
                    if points:
                        self._try(lambda points=points: tracker.log(points))  # type: ignore[misc]
                    batch[-1][0].save(self.position_file)
                elif ended:
                    break
                else:
                    self.ended.wait(POLL)
                self._answer(lines=self.reader.lines)
            self._try(lambda: tracker.finish(self.state, self.scores))
            with suppress(OSError):  # Windows removes it on release
                lock.unlink()
        self._answer(lines=self.reader.lines, done=True)

    def _started(self) -> Tracker:
        """The tracker, started, and a reader of what it has not logged yet."""
        order, known = self.order, Position.read(self.position_file)
        tracker: Tracker = resolve_name(order.factory)()
        if known is None:  # it is new, or was on another machine
            known = Position(order.known, order.run["after"] if order.known else 0)
        skip = min(known.lines, order.kept)
        self.reader = LogReader(self.log, skip, Position() if tracker.rewinds else known)
        run = TrackedRun(**{**order.run, "folder": Path(order.run["folder"]), "resumed": known.lines > 0})
        self._try(lambda: self._answer(**vars(tracker.start(run))))
        return tracker

    def _try(self, action: Callable[[], None]) -> None:
        """Does something, again and again if it fails, with pauses: what is not sent yet is in the log. Raises GivenUpError after
        the end of the training."""
        tries, pause, last = 0, 1.0, 0
        while True:
            try:
                action()
                return
            except Exception as error:
                reason, tries = f"{type(error).__name__}: {first_line(error)}", tries + 1
                last += self.ended.is_set()
                print(f"attempt {tries}: {reason}", file=sys.stderr, flush=True)  # noqa: T201 (stderr is a file of this process)
                if isinstance(error, ImportError) or last >= LAST_TRIES:
                    raise GivenUpError(reason) from None
            self._answer(failed=reason)
            self.ended.wait(pause) if not last else time.sleep(1)
            pause = min(LONGEST_PAUSE, 2 * pause)

    def _listen(self) -> None:
        """Waits for the end of the training, and then for so long as there is patience."""
        with suppress(ValueError, OSError):
            for line in self.orders:
                end = parse_object(line)
                self.state, self.scores = end["state"], end["scores"]
                self.log = Path(end["log"])
                break
        self.ended.set()
        time.sleep(self.order.patience)
        os._exit(1)

    def _answer(self, **values: Any) -> None:
        with suppress(OSError):  # nobody reads it any more
            self.answers.write(USER.sub("//", to_json(values)) + "\n")
            self.answers.flush()


def own_streams() -> tuple[IO[str], IO[str]]:
    """Takes standard input and output away from libraries: they read nothing, and what they print goes to standard error."""
    orders, answers = os.fdopen(os.dup(0), encoding="utf-8"), os.fdopen(os.dup(1), "w", encoding="utf-8")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return orders, answers


def main() -> None:
    """The process. It outlives signals to the training, which it is told about, but not the training."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if (number := getattr(signal, name, None)) is not None:
            signal.signal(number, signal.SIG_IGN)
    warnings.simplefilter("ignore")
    worker = Worker(*own_streams())
    try:
        worker.run()
    except GivenUpError as error:
        worker._answer(given_up=str(error))
    except Exception as error:
        worker._answer(given_up=f"{type(error).__name__}: {first_line(error)}")
    sys.stderr.flush()
    os._exit(0)  # a library's threads and exit hooks have had their time
