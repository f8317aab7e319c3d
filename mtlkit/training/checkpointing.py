"""When a training is saved, and how it is asked to stop: what stands between its steps and the files of its states."""

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

HANGUP = getattr(signal, "SIGHUP", None)  # Windows has none
STOPS = [number for number in (signal.SIGINT, signal.SIGTERM, HANGUP) if number is not None]


class Saver(Protocol):
    """What a training asks between two steps."""

    def after(self, step: int, state: Callable[[], StateDict]) -> None:
        """Saves where the training stands after so many steps, if it is time to. Raises StoppedError if it was asked to stop."""
        ...

    def save(self, step: int, state: StateDict) -> None:
        """Saves it now."""
        ...

    def ended(self, step: int, state: Callable[[], StateDict]) -> None:
        """Takes note of how the training can still be saved after its last step, should the run itself not be."""
        ...


class Interrupts:
    """While it is entered, SIGINT, SIGTERM and SIGHUP end a training: before its first step at once, by a StoppedError with
    `said`; once it is `patient`, at the next point where that does no harm. A second one does what it would do without, except
    SIGHUP: several come when a terminal closes. A SIGHUP that the program ignores, as under nohup, stays ignored. Only the main
    thread of a program can be asked so.

    `tell` is for the program that shows what happens: it is called when a stop has been asked for that is to come.
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
    """Saves into the state folder of a run: after every so many steps or minutes, and when a stop is asked for. `about` goes into
    each state: what the training is, and what it must find again. `command` goes on with it."""

    def __init__(
        self, folder: CheckpointManager, every: SaveEvery, interrupts: Interrupts, about: Mapping[str, Any], command: str
    ) -> None:
        self.folder, self.every, self.interrupts, self.about, self.command = folder, every, interrupts, about, command
        self.saved, self.when = -1, time.monotonic()
        self.final: tuple[int, Callable[[], StateDict]] | None = None

    def ended(self, step: int, state: Callable[[], StateDict]) -> None:
        self.final = (step, state)

    def rescue(self) -> str:
        """Saves the training as it was after its last step, unless that is done; what is kept, and the way on."""
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
        """The training goes on from a saved step."""
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
