"""Progress on stderr: a live line on a terminal, occasional plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from mtlkit.cli.console import say, stderr
from mtlkit.cli.phase import Phase, Sparse
from mtlkit.progress import Listener, Working, listen
from mtlkit.report.text import literal

Item = TypeVar("Item")


@contextmanager
def loading() -> Iterator[None]:
    """Shows progress while libraries and the model are loaded: importing PyTorch takes seconds."""
    with working("loading the model"):
        yield


@contextmanager
def working(activity: str) -> Iterator[Display]:
    """Shows an activity and its progress on stderr until the block ends."""
    with Display(stderr()) as display:
        display.busy(activity)
        yield display


def followed(items: Iterable[Item], activity: str) -> Iterator[Item]:
    """Yields the items, and shows the progress of producing them on stderr."""
    with working(activity):
        yield from items


class Display:
    """The live display on stderr: the content given to `show`, or the progress of a phase, as reported by `mtlkit.progress`. It
    is removed from the terminal at the end."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.notice = ""  # a sentence below everything else; a signal handler may set it, as the next refresh draws it
        self._content: RenderableType | None = None
        self._phase: Phase | None = None
        self._activity = ""  # what is going on between the phases that are reported
        self._named = set[str]()  # activities so far
        self._sparse = Sparse()
        self._before: Listener | None = None
        self._live: Live | None = None
        if console.is_terminal:
            self._live = Live(
                console=console, get_renderable=self._render, transient=True, refresh_per_second=8, redirect_stdout=False
            )

    @property
    def live(self) -> bool:
        """Whether stderr is a terminal."""
        return self._live is not None

    def __enter__(self) -> Display:
        if self._live:
            self._live.start()
        self._before = listen(self._heard)
        return self

    def __exit__(self, *error: object) -> None:
        listen(self._before)
        self.clear()
        if self._live:
            self._live.stop()

    def busy(self, activity: str, done: int = 0, total: int | None = None, unit: str = "texts", *, earlier: int = 0) -> None:
        """Shows a phase at once, with its progress if known. `earlier` units were done before it began."""
        self._activity = activity
        self._work(Working(activity, done, total, unit), earlier)

    def _heard(self, working: Working | None) -> None:
        """Shows reported progress; when it ends (None), shows the previous activity again."""
        if working is not None:
            self._work(working)
        elif not self._activity:
            self.clear()
        elif self._phase is None or self._phase.working.activity != self._activity:
            self._work(Working(self._activity))

    def _work(self, working: Working, earlier: int | None = None) -> None:
        phase = self._phase
        if phase is not None and phase.working.activity == working.activity:
            phase.update(working, earlier)
            return
        self._end_phase()
        phase = self._phase = Phase(working, None if self._live else self._say, named=working.activity in self._named)
        self._named.add(working.activity)
        phase.update(working, earlier)
        self.refresh()

    def show(self, content: RenderableType, line: Callable[[], str] | None = None, *, last: bool = False) -> None:
        """Shows `content` on a terminal; elsewhere prints `line` if one is due, and always the `last`."""
        self._end_phase()
        self._activity, self._content = "", content
        if not self._live and line is not None and (self._sparse.due() or last):
            self._say(line())

    def clear(self) -> None:
        """Shows nothing."""
        self._end_phase()
        self._content = None
        self.refresh()

    def _end_phase(self) -> None:
        if self._phase:
            self._phase.end()
        self._phase = None

    def spoke(self) -> None:
        """Notes that other output was written, which delays the next plain line."""
        self._sparse.wrote()

    def refresh(self) -> None:
        """Draws at once, as the code that follows may keep the interpreter busy for seconds, as an import of torch does."""
        if self._live and self._live.is_started:
            self._live.refresh()

    def _say(self, line: str) -> None:
        say(line, console=self.console)

    def _render(self) -> RenderableType:
        phase = self._phase  # which another thread may end
        shown = phase.drawn(self.console.width) if phase else self._content
        lines = [line for line in (shown, literal(self.notice, "yellow") if self.notice else None) if line is not None]
        return Group(*lines) if lines else Text("")
