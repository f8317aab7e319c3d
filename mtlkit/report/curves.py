"""Curves for the terminal: a small plot a task, drawn by plotext in letters. Nothing here prints."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group
from rich.table import Table
from rich.text import Text

from mtlkit.errors import shorten
from mtlkit.report.log_reader import Curves, Series, TaskCurves
from mtlkit.report.text import literal
from mtlkit.training.events import GUARD

LEAST_POINTS = 3  # fewer make no curve
LEAST_WIDTH, MOST_WIDTH, HEIGHT, GAP = 58, 100, 11, 2  # of a plot
TICKS = 4
MARKS = {False: ("braille", "●"), True: (".", "o")}  # of train and validation loss, by whether only ASCII can be shown
FRAME = str.maketrans("┌┐└┘├┤┬┴┼─│", "+++++++++-|")


def curve_text(curves: Curves, width: int, *, span: int | None = None, ascii_only: bool = False) -> Group | None:
    """A plot a task and a guard, as many side by side as `width` columns hold: train loss smoothed over `span` points (None:
    `usual_span`), validation loss as dots. None where nothing has three points."""
    guards = [TaskCurves(f"{GUARD}{name}", one, Series()) for name, one in curves.guards.items()]
    shown = [one for one in (*curves.tasks, *guards) if max(len(one.train), len(one.validation)) >= LEAST_POINTS]
    if not shown:
        return None
    columns = max(1, min(len(shown), (width + GAP) // (LEAST_WIDTH + GAP)))
    each = min(MOST_WIDTH, (width - GAP * (columns - 1)) // columns)
    grid = Table.grid(padding=(0, GAP, 0, 0), pad_edge=False)
    plots = [Group(*captions(one, each, span), plot(one, each, span, ascii_only)) for one in shown]
    for first in range(0, len(plots), columns):
        grid.add_row(*plots[first : first + columns])
    dot = MARKS[ascii_only][1]
    return Group(grid, literal(shorten(f"line: train loss, smoothed; {dot}: validation loss; below: steps", width), "dim"))


def captions(task: TaskCurves, width: int, span: int | None) -> list[Text]:
    """The name, and the last losses: a line each, where figures need not go to the next."""
    said = [f"train {short(task.train.smoothed(span).values[-1])}"] if task.train else []
    if task.validation:
        least = min(task.validation.values)
        at = task.validation.steps[task.validation.values.index(least)]
        said.append(f"val {short(task.validation.values[-1])}, lowest {short(least)} at step {at:,}")
    return [literal(shorten(task.task, width), "bold"), literal("; ".join(said))]


def short(loss: float) -> str:
    """Four digits, whatever the size."""
    return f"{loss:.4g}"


def plot(task: TaskCurves, width: int, span: int | None, ascii_only: bool) -> Text:
    """A plot of `width` letters, readable without colours."""
    import plotext  # one figure, which is the module's own

    line, dot = MARKS[ascii_only]
    train = thinned(task.train.smoothed(span), 4 * width)
    plotext.clear_figure()
    plotext.limit_size(False, False)  # or else it asks the terminal
    plotext.theme("clear")
    plotext.plot_size(width, HEIGHT)
    ranges = [spread(task.train.steps + task.validation.steps), spread(train.values + task.validation.values)]
    for low_and_high, limit, ticks in zip(ranges, (plotext.xlim, plotext.ylim), (plotext.xticks, plotext.yticks), strict=True):
        limit(*low_and_high)
        places = ticks_of(*low_and_high)
        ticks(places, [f"{round(place):,}" for place in places] if ticks is plotext.xticks else loss_ticks(places))
    if train:
        plotext.plot(train.steps, train.values, marker=line)
    if task.validation:
        plotext.scatter(task.validation.steps, task.validation.values, marker=dot, color="magenta")
    drawn = Text.from_ansi(plotext.build().rstrip("\n"), no_wrap=True, overflow="crop")
    plotext.clear_figure()
    return Text.from_ansi(drawn.plain.translate(FRAME), no_wrap=True) if ascii_only else drawn


def spread(values: Sequence[float]) -> tuple[float, float]:
    """The least and the largest, apart from each other."""
    low, high = min(values), max(values)
    around = 0.0 if low < high else abs(low) / 2 or 1.0
    return low - around, high + around


def ticks_of(low: float, high: float) -> list[float]:
    return [low + (high - low) * place / (TICKS - 1) for place in range(TICKS)]


def loss_ticks(places: Sequence[float]) -> list[str]:
    """Losses with as few digits as tell them apart, 3 to 6."""
    for digits in range(3, 7):
        names = [f"{place:8.{digits}g}" for place in places]
        if len(set(names)) == len(names):
            break
    return names


def thinned(series: Series, most: int) -> Series:
    """Every so manyth point, and the last: more than a plot can show."""
    every = -(-len(series) // most) or 1
    places = sorted({*range(0, len(series), every), len(series) - 1}) if series else []
    return Series(tuple(series.steps[place] for place in places), tuple(series.values[place] for place in places))
