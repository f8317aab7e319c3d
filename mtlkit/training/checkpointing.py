"""Saves checkpoints during a training, and handles signals that ask it to stop."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any, ClassVar, Protocol

from mtlkit.config.save_every import SaveEvery
from mtlkit.errors import SavingError, StoppedError
from mtlkit.runs.checkpoints import CheckpointManager
from mtlkit.training.state_dict import StateDict

HANGUP = getattr(signal, "SIGHUP", None)  # not on Windows
STOPS = [number for number in (signal.SIGINT, signal.SIGTERM, HANGUP) if number is not None]


class Saver(Protocol):
    """Called by a training between two steps."""

    def after(self, step: int, state: Callable[[], StateDict]) -> None:
        """Saves a checkpoint after `step` steps if one is due. Raises StoppedError if a stop was requested."""
        ...

    def save(self, step: int, state: StateDict) -> None:
        """Saves a checkpoint now."""
        ...

    def ended(self, step: int, state: Callable[[], StateDict]) -> None:
        """Called after the last step, so that the training can still be saved if saving the run fails."""
        ...


class Interrupts:
    """While active, SIGINT, SIGTERM and SIGHUP stop a training: before its first step immediately, by a StoppedError with `said`;
    once it is `patient`, at the next safe point. A second signal has its default effect, except SIGHUP: several arrive when a
    terminal closes. An ignored SIGHUP, as under nohup, stays ignored. Works only in the main thread.

    `tell` is called when a stop has been requested that has yet to happen, so that the program can report it.
    """

    tell: ClassVar[Callable[[], None]] = staticmethod(lambda: None)

    def __init__(self) -> None:
        self.asked: int | None = None
        self.patient = False
        self.said = "stopped before the first step; nothing was saved yet"
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            heeded = [number for number in STOPS if signal.getsignal(number) != signal.SIG_IGN]
            self._before = {number: signal.signal(number, self._ask) for number in heeded}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _ask(self, number: int, frame: FrameType | None) -> None:
        again = self.asked is not None
        if again and number == HANGUP:
            return
        self.asked = number
        if again:
            handler = self._before[number]
            self.__exit__()
            if callable(handler):
                handler(number, frame)
            else:
                signal.raise_signal(number)
        elif not self.patient:
            raise StoppedError(self.said, number)
        else:
            Interrupts.tell()


class FolderSaver:
    """Saves checkpoints to the state folder of a run: every given number of steps or minutes, and when a stop is requested.
    `about` is stored in each checkpoint: a description of the training, and what must match on resume. `command` resumes it.
    """

    def __init__(
        self, folder: CheckpointManager, every: SaveEvery, interrupts: Interrupts, about: Mapping[str, Any], command: str
    ) -> None:
        self.folder, self.every, self.interrupts, self.about, self.command = folder, every, interrupts, about, command
        self.saved, self.when = -1, time.monotonic()
        self.final: tuple[int, Callable[[], StateDict]] | None = None

    def ended(self, step: int, state: Callable[[], StateDict]) -> None:
        self.final = (step, state)

    def rescue(self) -> str:
        """Saves the training after its last step, unless already done; returns what was saved and how to continue."""
        refused = False
        if self.final and self.final[0] != self.saved:
            try:
                self.save(self.final[0], self.final[1]())
            except SavingError:
                refused = True
        kept = self.folder.newest_step()
        if kept is None:
            return f"no checkpoint is kept{', as there is no room for one either' if refused else ''}; make room and train again"
        return f"the checkpoint of step {kept} is kept; make room and resume with: {self.command}"

    def begin(self, step: int) -> None:
        """Called when the training resumes from a saved step."""
        self.saved = step

    def after(self, step: int, state: Callable[[], StateDict]) -> None:
        self.interrupts.patient = True
        if step and step != self.saved and self._due(step):
            self.save(step, state())
        if self.interrupts.asked is not None:
            if step != self.saved:
                self.save(step, state())
            raise StoppedError(f"saved after step {step}; resume with: {self.command}", self.interrupts.asked)

    def _due(self, step: int) -> bool:
        if self.every.steps:
            return step % self.every.steps == 0
        return time.monotonic() - self.when >= 60 * self.every.minutes

    def save(self, step: int, state: StateDict) -> None:
        self.folder.save(step, state.tensors, {"about": self.about, "training": state.plain})
        self.saved, self.when = step, time.monotonic()
