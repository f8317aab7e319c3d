"""Shows a training: a live view on a terminal, plain lines elsewhere. Always on stderr."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from mtlkit.cli.console import print_json, say, stderr
from mtlkit.cli.curves import print_curves
from mtlkit.report import forgetting, sharing, tracking
from mtlkit.report.tables import epoch_table, parts_table, task_table
from mtlkit.training.checkpointing import Interrupts
from mtlkit.training.events import Epoch, Event, Finished, Forgetting, Note, Parts, Progress, Sharing, TaskState, Tracking

PLAIN_SECONDS = 5.0  # between two lines where there is no terminal
SMOOTH = 0.9  # of the running mean that the live view shows for each loss


class TrainingView:
    """Consumes events, one at a time."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.live = Live(console=console, refresh_per_second=4, transient=True) if console.is_terminal else None
        self.smoothed: dict[str, float] = {}
        self.steps: dict[str, int] = {}
        self.step = 0
        self.last: Epoch | None = None
        self.spoke = time.monotonic()

    def __enter__(self) -> TrainingView:
        if self.live:
            self.live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self.live:
            self.live.update(Text(""))
            self.live.stop()

    def show(self, event: Event) -> None:
        match event:
            case Note():
                say(event.text, "yellow" if event.warning else None)
            case Parts() if self.last is None or any(part.after for part in event.parts):
                self.console.print(parts_table(event.parts))
            case Tracking(summary):
                self._report(tracking.tracking_tables(summary, self.console.width), tracking.tracking_messages(summary), "yellow")
            case Sharing(report):
                self._report(sharing.sharing_tables(report, self.console.width), sharing.sharing_messages(report))
            case Forgetting(report):
                self._report(forgetting.forgetting_tables(report, self.console.width), forgetting.forgetting_messages(report))
            case Epoch():
                self.last = event
                self.steps.clear()
                self.console.print(epoch_table(event, self.console.width))
            case Progress():
                self._progress(event)

    def _report(self, tables: Iterable[RenderableType], sentences: Iterable[str], style: str | None = None) -> None:
        for table in tables:
            self.console.print(table)
        for sentence in sentences:
            say(sentence, style)

    def _progress(self, event: Progress) -> None:
        if event.step <= self.step:  # another training begins, such as that of a task alone
            self.smoothed, self.steps, self.last = {}, {}, None
        self.step = event.step
        for name, value in event.losses.items():
            self.smoothed[name] = SMOOTH * self.smoothed.get(name, value) + (1 - SMOOTH) * value
            self.steps[name] = self.steps.get(name, 0) + 1
        if self.live:
            shown = Columns(self._values(event), padding=(0, 2)) if event.figures else self._tasks()
            self.live.update(Group(shown, progress_line(event)))
        elif time.monotonic() - self.spoke > PLAIN_SECONDS or event.step == event.steps:
            self.spoke = time.monotonic()
            self.console.print(Text("  ".join([str(progress_line(event)), *self._values(event)])), soft_wrap=True)

    def _values(self, event: Progress) -> list[str]:
        losses = [f"{name} loss {value:.3f}" for name, value in self.smoothed.items()]
        return [*losses, *(f"{name} {value:.4g}" for name, value in event.figures.items())]

    def _tasks(self) -> Table:
        """A row a task, with its figures of the last evaluation."""
        states = {state.task: state for state in self.last.tasks} if self.last else {}
        for name, loss in self.smoothed.items():
            old = states.get(name) or TaskState(name, "", None, {}, 0, 0, False)
            states[name] = replace(old, train_loss=loss, batches=self.steps.get(name, 0))
        return task_table(list(states.values()), self.console.width)


def progress_line(event: Progress) -> Text:
    left = event.seconds / event.step * (event.steps - event.step)
    return Text(
        f"epoch {event.epoch}/{event.epochs}  step {event.step}/{event.steps}  "
        f"{event.tokens_per_second:,.0f} tokens/s  {clock(left)} left"
    )


def clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def stopping() -> None:
    """Says that a stop is to come. A signal may come in the midst of a line, so that no console can be asked to write it."""
    with suppress(OSError):
        os.write(2, b"\nstopping as soon as the state is saved; once more stops at once\n")


def follow(events: Iterable[Event], as_json: bool) -> None:
    """Shows a recipe's events to the end, then prints its result."""
    Interrupts.tell = stopping
    finished: Finished | None = None
    with TrainingView(stderr()) as view:
        for event in events:
            if isinstance(event, Finished):
                finished = event
            else:
                view.show(event)
    assert finished is not None
    if as_json:
        print_json({"run": str(finished.run), "metrics": finished.metrics, "seconds": round(finished.seconds, 3)})
    else:
        if stderr().is_terminal:
            print_curves(finished.run, stderr())
        print(f"{finished.run} is ready ({clock(finished.seconds)}); next: {finished.next_command}")
