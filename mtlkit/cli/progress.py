"""Progress of long work on stderr: a live line on a terminal, elsewhere a plain line now and then."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from mtlkit.cli.console import say, stderr
from mtlkit.report.text import literal

FIRST_LINE = 1.0  # seconds until a phase is named where there is no terminal
LEAST_WAIT, MOST_WAIT = 5.0, 60.0  # seconds between two plain lines: few at first, fewer in a long run
WINDOW = 30.0  # seconds that a speed is averaged over
BAR = 24

Item = TypeVar("Item")


def clock(seconds: float) -> str:
    """`1:02`, or `1:01:02` from an hour on."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@contextmanager
def loading() -> Iterator[None]:
    """Around the imports of a command that runs a model: torch takes seconds."""
    with working("loading PyTorch"):
        yield


@contextmanager
def working(activity: str) -> Iterator[Display]:
    """Shows on stderr that something is being done, until it is."""
    with Display(stderr()) as display:
        display.busy(activity)
        yield display


def followed(
    items: Iterable[Item], activity: str, total: int | None, size: Callable[[Item], int] = lambda _: 1
) -> Iterator[Item]:
    """The items, with progress on stderr while they are made; `size` counts the texts of one."""
    done = 0
    with working(activity) as display:
        for item in items:
            done += size(item)
            display.busy(activity, done, total)
            yield item


class Pace:
    """The speed of recent work: neither a slow start nor what was done before a resume counts."""

    def __init__(self, window: float = WINDOW) -> None:
        self.window = window
        self._points: deque[tuple[float, float]] = deque()

    def add(self, seconds: float, done: float) -> None:
        """Notes that `done` units were finished after so many seconds, both counted from any start."""
        self._points.append((seconds, done))
        while len(self._points) > 2 and self._points[1][0] <= seconds - self.window:
            self._points.popleft()

    @property
    def rate(self) -> float | None:
        """Units per second; None while it is not known."""
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
        self.last = now
        return True


class Display:
    """One place on stderr that shows what is going on, either a phase of work or whatever `show` is given. Nothing of it stays
    on a terminal once it is left."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.notice = ""  # a sentence below everything else; a signal handler may set it, as the next refresh draws it
        self._content: RenderableType | None = None
        self._phase: _Phase | None = None
        self._sparse = Sparse()
        self._live: Live | None = None
        if console.is_terminal:
            self._live = Live(
                console=console, get_renderable=self._render, transient=True, refresh_per_second=8, redirect_stdout=False
            )

    @property
    def live(self) -> bool:
        """Whether there is a terminal that shows it."""
        return self._live is not None

    def __enter__(self) -> Display:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.clear()
        if self._live:
            self._live.stop()

    def busy(self, activity: str, done: int = 0, total: int | None = None, unit: str = "texts", *, kept: int = 0) -> None:
        """Shows a phase of work at once, and how far it is where that is known. `kept` units were done before it began."""
        phase = self._phase
        if phase is None or phase.activity != activity:
            self.clear()
            phase = self._phase = _Phase(activity, unit, None if self._live else self._say)
            phase.update(done, total, kept)
            self.refresh()
            return
        phase.update(done, total, kept)
        if not self._live and done and self._sparse.due():
            phase.named = True
            self._say(phase.line())

    def show(self, content: RenderableType, line: Callable[[], str] | None = None, *, last: bool = False) -> None:
        """Shows `content` on a terminal; elsewhere `line` where one is due, or always the `last`."""
        if self._phase:
            self.clear()
        self._content = content
        if not self._live and line is not None and (self._sparse.due() or last):
            self._say(line())

    def clear(self) -> None:
        """The phase is over."""
        if self._phase:
            self._phase.end()
            self._sparse = Sparse()
        self._phase = self._content = None
        self.refresh()

    def spoke(self) -> None:
        """Something was written elsewhere: the next plain line can wait."""
        self._sparse.last = time.monotonic()

    def refresh(self) -> None:
        """Draws it now: what comes next may keep the interpreter busy for seconds, as an import of torch does."""
        if self._live and self._live.is_started:
            self._live.refresh()

    def _say(self, line: str) -> None:
        say(line, console=self.console)

    def _render(self) -> RenderableType:
        shown = [self._phase.drawn() if self._phase else self._content]
        lines = [one for one in (*shown, literal(self.notice, "yellow") if self.notice else None) if one is not None]
        return Group(*lines) if lines else Text("")


class _Phase:
    """Work that has no steps of its own: its name, how far it is, how fast. `say` writes its name if it lasts."""

    def __init__(self, activity: str, unit: str, say: Callable[[str], None] | None) -> None:
        self.activity, self.unit, self.started = activity, unit, time.monotonic()
        self.done, self.named, self.pace = 0, False, Pace()
        self.total: int | None = None
        self.spinner = Spinner("dots")
        self._timer = threading.Timer(FIRST_LINE, self._name, [say]) if say else None
        if self._timer:
            self._timer.daemon = True
            self._timer.start()

    def _name(self, say: Callable[[str], None]) -> None:
        if not self.named:
            self.named = True
            say(f"{self.activity} ...")

    def end(self) -> None:
        if self._timer:
            self._timer.cancel()

    def update(self, done: int, total: int | None, kept: int) -> None:
        self.done, self.total = done, total
        self.pace.add(time.monotonic() - self.started, max(0, done - kept))

    def line(self) -> str:
        """`encoding: 2,048 of 10,000 texts  512 texts/s  0:15 left`."""
        if not self.done:
            return self.activity
        of = f" of {self.total:,}" if self.total is not None else ""
        words = [f"{self.activity}: {self.done:,}{of} {self.unit}"]
        if (rate := self.pace.rate) is not None:
            words.append(f"{rate:,.0f} {self.unit}/s")
            if self.total is not None:
                words.append(f"{clock((self.total - self.done) / rate)} left")
        return "  ".join(words)

    def drawn(self) -> RenderableType:
        grid = Table.grid(padding=(0, 1, 0, 0))
        waited = "" if self.done else f"  {clock(time.monotonic() - self.started)}"
        cells: list[RenderableType] = [self.spinner, literal(f"{self.line()}{waited}")]
        if self.done and self.total:
            cells.append(ProgressBar(total=self.total, completed=self.done, width=BAR))
        grid.add_row(*cells)
        return grid
