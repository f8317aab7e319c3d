"""Curves for the terminal: a small plot for each task, drawn with characters by plotext."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group
from rich.table import Table
from rich.text import Text

from mtlkit.errors import shorten
from mtlkit.report.log_reader import Curves, Series, TaskCurves
from mtlkit.report.text import literal
from mtlkit.training.events import GUARD

LEAST_POINTS = 3  # of a curve
LEAST_WIDTH, MOST_WIDTH, HEIGHT, GAP = 58, 100, 11, 2  # of a plot
TICKS = 4
MARKS = {False: ("braille", "●"), True: (".", "o")}  # markers of training and validation loss, by `ascii_only`
FRAME = str.maketrans("┌┐└┘├┤┬┴┼─│", "+++++++++-|")


def curve_text(curves: Curves, width: int, *, span: int | None = None, ascii_only: bool = False) -> Group | None:
    """A plot for each task and guard, side by side if `width` allows: the training loss, smoothed over `span` points (None:
    `usual_span`), as a line, and the validation loss as dots. None if there are too few points for any curve.
    """
    guards = [TaskCurves(f"{GUARD}{name}", losses, Series()) for name, losses in curves.guards.items()]
    shown = [task for task in (*curves.tasks, *guards) if max(len(task.train), len(task.validation)) >= LEAST_POINTS]
    if not shown:
        return None
    columns = max(1, min(len(shown), (width + GAP) // (LEAST_WIDTH + GAP)))
    plot_width = min(MOST_WIDTH, (width - GAP * (columns - 1)) // columns)
    grid = Table.grid(padding=(0, GAP, 0, 0), pad_edge=False)
    plots = [Group(*captions(task, plot_width, span), plot(task, plot_width, span, ascii_only)) for task in shown]
    for first in range(0, len(plots), columns):
        grid.add_row(*plots[first : first + columns])
    dot = MARKS[ascii_only][1]
    return Group(grid, literal(shorten(f"line: train loss, smoothed; {dot}: validation loss; below: steps", width), "dim"))


def captions(task: TaskCurves, width: int, span: int | None) -> list[Text]:
    """Two lines: the name of the task, and its last losses."""
    losses = [f"train {short(task.train.smoothed(span).values[-1])}"] if task.train else []
    if task.validation:
        least = min(task.validation.values)
        step = task.validation.steps[task.validation.values.index(least)]
        losses.append(f"val {short(task.validation.values[-1])}, lowest {short(least)} at step {step:,}")
    return [literal(shorten(task.task, width), "bold"), literal("; ".join(losses))]


def short(loss: float) -> str:
    """A loss with four significant digits."""
    return f"{loss:.4g}"


def plot(task: TaskCurves, width: int, span: int | None, ascii_only: bool) -> Text:
    """A plot that is `width` characters wide and legible without colours."""
    import plotext  # has a single, global figure

    line, dot = MARKS[ascii_only]
    train = thinned(task.train.smoothed(span), 4 * width)
    plotext.clear_figure()
    plotext.limit_size(False, False)  # otherwise, the size of the terminal is the limit
    plotext.theme("clear")
    plotext.plot_size(width, HEIGHT)
    ranges = [spread(task.train.steps + task.validation.steps), spread(train.values + task.validation.values)]
    for low_and_high, limit, ticks in zip(ranges, (plotext.xlim, plotext.ylim), (plotext.xticks, plotext.yticks), strict=True):
        limit(*low_and_high)
        positions = ticks_of(*low_and_high)
        ticks(positions, [f"{round(step):,}" for step in positions] if ticks is plotext.xticks else loss_ticks(positions))
    if train:
        plotext.plot(train.steps, train.values, marker=line)
    if task.validation:
        plotext.scatter(task.validation.steps, task.validation.values, marker=dot, color="magenta")
    drawn = Text.from_ansi(plotext.build().rstrip("\n"), no_wrap=True, overflow="crop")
    plotext.clear_figure()
    return Text.from_ansi(drawn.plain.translate(FRAME), no_wrap=True) if ascii_only else drawn


def spread(values: Sequence[float]) -> tuple[float, float]:
    """The range of an axis: minimum and maximum of the values, or a range around them if they are equal."""
    low, high = min(values), max(values)
    margin = 0.0 if low < high else abs(low) / 2 or 1.0
    return low - margin, high + margin


def ticks_of(low: float, high: float) -> list[float]:
    """Equally spaced positions from `low` to `high`."""
    return [low + (high - low) * index / (TICKS - 1) for index in range(TICKS)]


def loss_ticks(losses: Sequence[float]) -> list[str]:
    """Formats losses with the fewest digits, 3 to 6, that keep them distinct."""
    for digits in range(3, 7):
        names = [f"{loss:8.{digits}g}" for loss in losses]
        if len(set(names)) == len(names):
            break
    return names


def thinned(series: Series, most: int) -> Series:
    """About `most` equally spaced points of a series, including the last, as a plot cannot show more."""
    every = -(-len(series) // most) or 1
    indices = sorted({*range(0, len(series), every), len(series) - 1}) if series else []
    return Series(tuple(series.steps[index] for index in indices), tuple(series.values[index] for index in indices))
