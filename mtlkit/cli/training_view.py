"""Shows a training: a live view on a terminal, plain lines elsewhere. Always on stderr."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress

from rich.console import Console, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table

from mtlkit.cli.console import answer, print_json, say, stderr
from mtlkit.cli.curves import print_curves
from mtlkit.cli.phase import BAR, Pace, clock
from mtlkit.cli.progress import Display
from mtlkit.config.launch import launched
from mtlkit.errors import MtlkitError
from mtlkit.model.description import read_checkpoint
from mtlkit.report.tables import epoch_table, parts_table
from mtlkit.report.text import literal
from mtlkit.report.training import forgetting, sharing, tracking
from mtlkit.report.training.advice import advice
from mtlkit.report.training.epoch_lines import EpochLines, loss_words, parts_in_words, pretraining_line
from mtlkit.report.training.messages import training_messages
from mtlkit.report.training.summary import summary_lines, summary_table
from mtlkit.runs.record import read_record
from mtlkit.training.checkpointing import Interrupts
from mtlkit.training.events import BaselineEvent, Epoch, Event, Finished, Forgetting, Parts, Progress, Sharing, Tracking

SMOOTH = 0.9  # of the running mean that is shown for each loss
STOPPING = "stopping as soon as the checkpoint is saved; press Ctrl-C again to stop at once"
STOPPING_ALL = "stopping all processes as soon as the checkpoint is saved"


class TrainingView:
    """Consumes events, one at a time. Without `verbose`, prints a line per epoch and task, and warnings."""

    def __init__(self, console: Console, *, verbose: bool = False) -> None:
        self.console, self.verbose, self.display = console, verbose, Display(console)
        self.rows = EpochLines(console.width)
        self._restart()

    def _restart(self, baseline: str = "") -> None:
        self.baseline = baseline
        self.step, self.smoothed = 0, dict[str, float]()
        self.steps, self.tokens = Pace(), Pace()
        self.pretraining: tuple[int, str, list[float]] = (0, "", [])
        self.rows.reset()

    def __enter__(self) -> TrainingView:
        self.display.__enter__()
        self.display.busy("preparing")
        return self

    def __exit__(self, *error: object) -> None:
        self.display.__exit__(*error)

    def show(self, event: Event) -> None:
        match event:
            case Parts():
                self._parts(event)
            case Tracking(summary):
                words = tracking.tracking_messages(summary)
                tables = tracking.tracking_tables(summary, self.console.width) if self.verbose else ()
                self._report(tables, words, "yellow")
            case Sharing(report):
                self._report(sharing.sharing_tables(report, self.console.width), sharing.sharing_messages(report))
            case Forgetting(report):
                tables = forgetting.forgetting_tables(report, self.console.width, whole=self.verbose)
                words = forgetting.forgetting_messages(report) if self.verbose else forgetting.loss_messages(report)
                self._report(tables, words)
            case Epoch():
                self._epoch(event)
                self.display.spoke()
            case Progress():
                self._progress(event)
            case BaselineEvent(baseline, Progress() as step):
                self._progress(step, baseline)
            case BaselineEvent(baseline, other):
                self._messages(other, f"{baseline}: ")
            case _:
                self._messages(event)

    def _messages(self, event: Event, prefix: str = "") -> None:
        for message in training_messages(event):
            if self.verbose or not message.detail:
                self._say(f"{prefix}{message.text}", "yellow" if message.warning else None)

    def _report(self, tables: Iterable[RenderableType], sentences: Iterable[str], style: str | None = None) -> None:
        for table in tables:
            self.console.print(table)
        for sentence in sentences:
            self._say(sentence, style)

    def _say(self, text: str, style: str | None = None) -> None:
        say(text, style, self.console)

    def _parts(self, event: Parts) -> None:
        final = any(part.after for part in event.parts)
        if self.verbose and (final or self.step == 0):
            self.console.print(parts_table(event.parts))
        elif not self.verbose and (words := parts_in_words(event.parts)) and (final or self.step == 0):
            self._say(words)

    def _epoch(self, event: Epoch) -> None:
        if self.verbose:
            self.console.print(epoch_table(event, self.console.width))
            return
        for line in self.rows.lines(event):
            self.console.print(line, soft_wrap=True)

    def _progress(self, event: Progress, baseline: str = "") -> None:
        if baseline != self.baseline:  # another training begins
            self._restart(baseline)
        if event.step == 1:
            self.steps.add(0.0, 0)
            self.tokens.add(0.0, 0)
        self.step = event.step
        self.steps.add(event.seconds, event.step)
        self.tokens.add(event.seconds, event.tokens)
        for name, value in event.losses.items():
            self.smoothed[name] = SMOOTH * self.smoothed.get(name, value) + (1 - SMOOTH) * value
        self.display.show(self._drawn(event), lambda: "  ".join([self._where(event), *self._values(event)]))
        if "perplexity" in event.figures:
            self._pretraining(event)

    def _pretraining(self, event: Progress) -> None:
        """A line per epoch, for a training without evaluation in between."""
        epoch, name, losses = self.pretraining
        (now, loss), *_ = event.losses.items()
        if losses and (event.epoch, now) != (epoch, name):
            self._say(pretraining_line(epoch, event.epochs, name, losses))
            self.smoothed, losses = {now: loss}, []
        losses.append(loss)
        self.pretraining = (event.epoch, now, losses)
        if event.step == event.steps:
            self._say(pretraining_line(event.epoch, event.epochs, now, losses))

    def _where(self, event: Progress) -> str:
        """`epoch 2/6  step 40/168  1,290 tokens/s  0:24 left`; speed and time left are those of recent steps."""
        words = [f"{self.baseline}:"] if self.baseline and not self.display.live else []
        words += [f"epoch {event.epoch}/{event.epochs}", f"step {event.step}/{event.steps}"]
        if (rate := self.tokens.rate) is not None:
            words.append(f"{rate:,.0f} tokens/s")
        if (rate := self.steps.rate) is not None:
            words.append(f"{clock((event.steps - event.step) / rate)} left")
        return "  ".join(words)

    def _values(self, event: Progress) -> list[str]:
        shown = event.figures if self.verbose else {name: event.figures[name] for name in event.figures if name == "perplexity"}
        return [*loss_words(self.smoothed), *(f"{name} {value:.4g}" for name, value in shown.items())]

    def _drawn(self, event: Progress) -> RenderableType:
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_row(self._where(event), ProgressBar(total=event.steps, completed=event.step, width=BAR))
        values = literal("  ".join(self._values(event)), "dim")
        return Group(literal(f"{self.baseline}:"), grid, values) if self.baseline else Group(grid, values)


def follow(events: Iterable[Event], as_json: bool, *, verbose: bool = False) -> None:
    """Shows a recipe's events to the end, then prints its result. Of several processes, only the first shows anything."""
    if not launched().is_main:
        for _ in events:
            pass
        return
    finished: Finished | None = None
    with TrainingView(stderr(), verbose=verbose) as view:
        Interrupts.on_request = lambda: stopping(view.display)
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
        print_summary(finished, stderr())
        answer(f"{finished.run} is ready ({clock(finished.seconds)}); next: {finished.next_command}")


def print_summary(finished: Finished, console: Console) -> None:
    """The scores of a run, and advice on what was found in it."""
    if console.is_terminal:
        if (table := summary_table(finished.metrics, console.width)) is not None:
            console.print(table)
    else:
        for line in summary_lines(finished.metrics):
            say(line, console=console)
    for line in advice_on(finished):
        say(line, "yellow", console)


def advice_on(finished: Finished) -> list[str]:
    """Advice from the record of a finished run."""
    try:
        record = read_record(finished.run)
        classes = {spec.name: len(spec.labels) for spec in read_checkpoint(finished.run).tasks}
    except MtlkitError:  # somebody removed it in the meantime
        return []
    return advice(record.options, record.data, finished.metrics, classes)


def stopping(display: Display) -> None:
    """Announces the stop. A signal may arrive in the middle of a line, so the console cannot be used: a live view draws the
    message at its next refresh."""
    words = STOPPING if launched().size == 1 else STOPPING_ALL
    if display.live:
        display.notice = words
        return
    with suppress(OSError):
        os.write(2, f"\n{words}\n".encode())
