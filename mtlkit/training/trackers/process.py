"""The training's side of a tracker's process. Nothing here waits for it, except `wait`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any

from mtlkit.config.from_json import parse_object, to_json
from mtlkit.errors import shorten
from mtlkit.training.events import Note
from mtlkit.training.trackers.services.base import TrackerService
from mtlkit.training.trackers.worker import Order

SILENCE = 60.0  # seconds without an answer after which a tracker is said to hang
LETTERS = 200  # of a tracker's own error
START = "import sys; sys.path[:] = {path!r}; from mtlkit.training.trackers.worker import main; main()"


class TrackerProcess:
    """A tracker in a process of its own. Threads write to it and read its answers, so that the training never waits.

    `lines` is the number of lines of the log that are sent. `messages` are for the user and have not been shown yet.
    """

    def __init__(self, service: TrackerService, order: Order, printed: Path) -> None:
        self.service, self.printed, self.lines, self.log = service, printed, order.known, Path(order.log)
        self.messages: list[Note] = []
        self.heard, self.done, self.given_up, self.complained = time.monotonic(), False, False, False
        self._orders: SimpleQueue[str | None] = SimpleQueue()
        with printed.open("ab") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-c", START.format(path=sys.path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                start_new_session=True,  # Ctrl-C in the terminal is for the training
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.writer = threading.Thread(target=self._write, args=(self.process.stdin,), daemon=True)
        self.reader = threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True)
        self.writer.start()
        self.reader.start()
        self._orders.put(to_json(asdict(order)))

    @property
    def alive(self) -> bool:
        """Whether it may still send something."""
        return not (self.done or self.given_up)

    def take_notes(self) -> list[Note]:
        """The messages since the last call."""
        if self.alive and not self.complained and time.monotonic() - self.heard > SILENCE:
            self._complain(f"no answer for {SILENCE:.0f} s; the training goes on")
        taken, self.messages = self.messages, []
        return taken

    def end(self, state: str, scores: Mapping[str, float], log: Path) -> None:
        """Tells it how the training ended, and where the log is now."""
        self._orders.put(json.dumps({"state": state, "scores": dict(scores), "log": str(log)}))
        self._orders.put(None)

    def wait(self, seconds: float) -> bool:
        """Whether it has sent everything and ended, within this time."""
        self.reader.join(seconds)
        return self.done

    def kill(self) -> None:
        """Ends it, and what it started."""
        with suppress(OSError, AttributeError):  # gone, or Windows, which has no groups to kill
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()
        self.process.wait()
        self._orders.put(None)
        self.writer.join(1)
        self.reader.join(1)
        with suppress(OSError):
            if not self.printed.stat().st_size:
                self.printed.unlink()

    def _write(self, stdin: IO[bytes]) -> None:
        with suppress(OSError), stdin:
            while (line := self._orders.get()) is not None:
                stdin.write(f"{line}\n".encode())
                stdin.flush()

    def _read(self, stdout: IO[bytes]) -> None:
        with stdout:
            for line in stdout:
                with suppress(ValueError):
                    self._take(parse_object(line))
        if self.alive:
            self.given_up = True
            self._complain(f"its process ended; see {self.printed}")

    def _take(self, answer: Mapping[str, Any]) -> None:
        self.heard = time.monotonic()
        self.lines = answer.get("lines", self.lines)
        self.done = self.done or "done" in answer
        if "where" in answer:
            way = f"; {answer['way']}" if answer["way"] else ""
            self.messages.append(Note(f"{self.service.name}: {answer['where']}{way}"))
        if reason := answer.get("failed"):
            self._complain(f"{shorten(reason, LETTERS)}; the training goes on, and it is tried again")
        if reason := answer.get("given_up"):
            self.given_up = True
            self._complain(f"{shorten(reason, LETTERS)}; the training goes on without it")

    def _complain(self, text: str) -> None:
        """A warning, of which there is one per tracker until the end."""
        if not self.complained:
            self.complained = True
            self.messages.append(Note(f"--track {self.service.name}: {text}", warning=True))
