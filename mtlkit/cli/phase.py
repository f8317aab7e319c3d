"""The progress of a long phase: position, speed and time left, and when to print a line without a terminal."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from rich.console import RenderableType
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table

from mtlkit.progress import Working
from mtlkit.report.text import literal

FIRST_LINE = 1.0  # seconds until a phase is named where there is no terminal
LEAST_WAIT, MOST_WAIT = 5.0, 60.0  # seconds between two plain lines: few at first, fewer in a long run
WINDOW = 30.0  # seconds that a speed is averaged over
BAR = 24


def clock(seconds: float) -> str:
    """`1:02`, or `1:01:02` from an hour on."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Pace:
    """The speed of recent work: excludes a slow start and work done before a resume."""

    def __init__(self, window: float = WINDOW) -> None:
        self.window = window
        self._points: deque[tuple[float, float]] = deque()

    def add(self, seconds: float, done: float) -> None:
        """Records that `done` units were finished after `seconds`, both from any starting point."""
        self._points.append((seconds, done))
        while len(self._points) > 2 and self._points[1][0] <= seconds - self.window:
            self._points.popleft()

    @property
    def rate(self) -> float | None:
        """Units per second; None while unknown."""
        if len(self._points) < 2:
            return None
        (start, before), (end, after) = self._points[0], self._points[-1]
        return (after - before) / (end - start) if end > start and after > before else None


class Sparse:
    """When the next plain line is due."""

    def __init__(self) -> None:
        self.started = self.last = time.monotonic()

    def due(self) -> bool:
        """Whether to write a line now; if so, it counts as written."""
        now = time.monotonic()
        if now - self.last < min(MOST_WAIT, max(LEAST_WAIT, (now - self.started) / 10)):
            return False
        self.wrote()
        return True

    def wrote(self) -> None:
        """Notes that a line was written, which delays the next one."""
        self.last = time.monotonic()


class Phase:
    """The progress of a phase. Without a terminal, `say` prints it after a second, then occasionally; if the same phase was
    `named` before, only if it lasts longer."""

    def __init__(self, working: Working, say: Callable[[str], None] | None, *, named: bool = False) -> None:
        self.started, self.pace, self.earlier = time.monotonic(), Pace(), 0
        self.working = working
        self.spinner = Spinner("dots")
        self._say, self._sparse, self._timer = say, Sparse(), None
        if say:
            self._timer = threading.Timer(max(LEAST_WAIT, FIRST_LINE) if named else FIRST_LINE, self._write)
            self._timer.daemon = True
            self._timer.start()

    def _write(self) -> None:
        if self._say:
            self._sparse.wrote()
            self._say(self.line() if self.working.done else f"{self.working.activity} ...")

    def end(self) -> None:
        if self._timer:
            self._timer.cancel()

    def update(self, working: Working, earlier: int | None = None) -> None:
        """Updates the progress; `earlier` units were done before it began (None: unchanged)."""
        self.working, self.earlier = working, self.earlier if earlier is None else earlier
        self.pace.add(time.monotonic() - self.started, max(0, working.done - self.earlier))
        if self._say and working.done and self._sparse.due():
            self._say(self.line())

    def line(self) -> str:
        """`encoding: 2,048 of 10,000 texts  512 texts/s  0:15 left`."""
        done, total, unit = self.working.done, self.working.total, self.working.unit
        if not done:
            return self.working.activity
        of = f" of {total:,}" if total is not None else ""
        words = [f"{self.working.activity}: {done:,}{of} {unit}"]
        if (rate := self.pace.rate) is not None:
            words.append(f"{rate:,.0f} {unit}/s")
            if total is not None:
                words.append(f"{clock((total - done) / rate)} left")
        return "  ".join(words)

    def drawn(self, width: int) -> RenderableType:
        """One line for a terminal, with a bar if that fits."""
        waited = "" if self.working.done else f"  {clock(time.monotonic() - self.started)}"
        line = f"{self.line()}{waited}"
        grid = Table.grid(padding=(0, 1, 0, 0))
        grid.add_column()
        grid.add_column(no_wrap=True, overflow="ellipsis")
        bar = self.working.done and self.working.total and len(line) + BAR + 4 <= width
        bars = [ProgressBar(total=self.working.total, completed=self.working.done, width=BAR)] if bar else []
        grid.add_row(self.spinner, literal(line), *bars)
        return grid
