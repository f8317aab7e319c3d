"""Saves checkpoints during a training, and handles signals that ask it to stop."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from types import FrameType
from typing import Any, ClassVar, Protocol

from mtlkit.config.save_every import SaveEvery
from mtlkit.errors import SavingError, StoppedError, listed
from mtlkit.runs.checkpoints import CheckpointManager
from mtlkit.training.distributed.agreement import check_equal
from mtlkit.training.distributed.ranks import ALONE, Ranks
from mtlkit.training.state_dict import StateDict

HANGUP = getattr(signal, "SIGHUP", None)  # not on Windows
STOPS = [number for number in (signal.SIGINT, signal.SIGTERM, HANGUP) if number is not None]


class Saver(Protocol):
    """Saves checkpoints. The trainer calls it between two steps."""

    def after(self, step: int, state: Callable[[], StateDict]) -> None:
        """Saves a checkpoint after `step` steps if one is due. Raises StoppedError if a stop was requested."""
        ...

    def save(self, step: int, state: StateDict) -> None:
        """Saves a checkpoint now."""
        ...

    def ended(self, step: int, state: Callable[[], StateDict]) -> None:
        """Called after the last step, so that a checkpoint can still be saved if writing the finished run fails."""
        ...


def resuming(state: StateDict, step: int) -> str:
    """Where a training resumes: from a step, or with the next head to be solved."""
    return f"resuming {reached(state, step)}" if "solver" in state.plain else f"resuming from step {step:,}"


def reached(state: StateDict, step: int) -> str:
    """How far a training has come: to a step, or with heads that are solved."""
    if "solver" not in state.plain:
        return f"after step {step}"
    heads = [f"head:{name} (C {solved['c']:.3g})" for name, solved in state.plain["solver"]["solved"].items()]
    return f"after solving {listed(heads)}" if heads else "before solving the first head"


class Interrupts:
    """A context in which SIGINT, SIGTERM and SIGHUP stop a training cleanly. Works only in the main thread.

    Before the first step, a signal raises StoppedError with `message` at once. After that, while `deferred`, it only sets
    `requested`, and `on_request` is called so that the program can tell the user; the saver stops the training after the step. A
    second signal has its default effect, except SIGHUP: several arrive when a terminal closes. If `patient`, it has none: the
    launcher of several processes sends them one, too. An ignored signal, such as SIGHUP under nohup, stays ignored.
    """

    on_request: ClassVar[Callable[[], None]] = staticmethod(lambda: None)

    def __init__(self) -> None:
        self.requested: int | None = None
        self.deferred = self.patient = False
        self.message = "stopped before the first step; nothing was saved yet"
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            handled = [number for number in STOPS if signal.getsignal(number) != signal.SIG_IGN]
            self._handlers = {number: signal.signal(number, self._on_signal) for number in handled}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        second = self.requested is not None
        if second and (number == HANGUP or self.patient):
            return
        self.requested = number
        if second:
            handler = self._handlers[number]
            self.__exit__()
            if callable(handler):
                handler(number, frame)
            else:
                signal.raise_signal(number)
        elif not self.deferred:
            raise StoppedError(self.message, number)
        else:
            Interrupts.on_request()


def first_request(requests: Iterable[int | None]) -> int | None:
    """The signal of the first process that was asked to stop."""
    return next((number for number in requests if number is not None), None)


class FolderSaver:
    """Saves checkpoints to the run folder, as often as `--save-every` says and when a signal stops the training.

    `about` is stored in each checkpoint: a description of the training, with everything that must match on resume. `command`
    resumes the training. Of several processes, `ranks`, all stop after the same step if one is asked to, and the first saves,
    once all have the same weights.
    """

    def __init__(
        self,
        checkpoints: CheckpointManager,
        every: SaveEvery,
        interrupts: Interrupts,
        about: Mapping[str, Any],
        command: str,
        ranks: Ranks = ALONE,
    ) -> None:
        self.ranks = ranks
        self.checkpoints, self.every, self.interrupts, self.about, self.command = checkpoints, every, interrupts, about, command
        self.saved, self.saved_at, self.reached = -1, time.monotonic(), ""
        self.final: tuple[int, Callable[[], StateDict], int] | None = None

    def ended(self, step: int, state: Callable[[], StateDict]) -> None:
        self.final = (step, state, self.checkpoints.log_size())

    def rescue(self) -> str:
        """Tries to save a checkpoint after the last step. Returns, for an error message, which checkpoint exists and what the
        user can do.
        """
        full = False
        if self.final and self.final[0] != self.saved:
            step, state, logged = self.final
            try:
                self.checkpoints.truncate_log(logged)  # a resumed training logs again what came after the last step
                self.save(step, state())
            except (SavingError, OSError):
                full = True
        newest = self.checkpoints.newest_step()
        if newest is None:
            reason = ", as there is no space for one either" if full else ""
            return f"no checkpoint is kept{reason}; free some space and train again"
        return f"the checkpoint of step {newest} is kept; free some space and resume with: {self.command}"

    def begin(self, step: int, state: StateDict) -> None:
        """Called when the training resumes from the checkpoint of a step."""
        self.saved, self.reached = step, reached(state, step)

    def after(self, step: int, state: Callable[[], StateDict]) -> None:
        self.interrupts.deferred = True
        due = bool(step) and step != self.saved and self._due(step)
        wishes = self.ranks.agreed((due, self.interrupts.requested))
        due, requested = wishes[0][0], first_request(number for _, number in wishes)
        if due:
            self.save(step, state())
            requested = first_request(self.ranks.agreed(self.interrupts.requested))  # saving takes a while
        if requested is not None:
            if step != self.saved:
                self.save(step, state())
            raise StoppedError(f"saved {self.reached}; resume with: {self.command}", requested)

    def _due(self, step: int) -> bool:
        if self.every.steps:
            return step % self.every.steps == 0
        return time.monotonic() - self.saved_at >= 60 * self.every.minutes

    def save(self, step: int, state: StateDict) -> None:
        check_equal(self.ranks, f"after step {step}", state.tensors)
        if self.ranks.is_main:
            self.checkpoints.save(step, state.tensors, {"about": self.about, "training": state.plain})
        self.ranks.agreed(None)  # none goes on, or leaves, before it is saved
        self.saved, self.saved_at, self.reached = step, time.monotonic(), reached(state, step)
