"""Curves for the terminal: a small plot for each task, drawn with characters by plotext."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group
from rich.table import Table
from rich.text import Text

from mtlkit.errors import shorten
from mtlkit.report.log_reader import Curves, Kept, Series, TaskCurves
from mtlkit.report.tables import metric_title
from mtlkit.report.text import literal, one_line
from mtlkit.training.events import GUARD

LEAST_POINTS = 3  # of a curve
LEAST_WIDTH, MOST_WIDTH, HEIGHT, GAP = 58, 100, 11, 2  # of a plot
LEAST_HEIGHT, CAPTIONS = 7, 2  # lines of a plot in a low terminal, and above each
TICKS = 4
# markers of training loss, of validation loss, and of that of the weights that are kept, by `ascii_only`
MARKS = {False: ("braille", "●", "◆"), True: (".", "o", "K")}
FRAME = str.maketrans("┌┐└┘├┤┬┴┼─│", "+++++++++-|")


def curve_text(
    curves: Curves, width: int, *, span: int | None = None, ascii_only: bool = False, height: int | None = None
) -> Group | None:
    """A plot for each task and guard, side by side if `width` allows: the training loss, smoothed over `span` points (None:
    `usual_span`), as a line, and the validation loss as dots, a diamond where weights are kept. None if there are too few points
    for any curve. If there are only `height` lines, plots are lower, and only as many tasks have one as fit; others have their
    figures.
    """
    guards = [TaskCurves(f"{GUARD}{name}", losses, Series()) for name, losses in curves.guards.items()]
    shown = [task for task in (*curves.tasks, *guards) if max(len(task.train), len(task.validation)) >= LEAST_POINTS]
    if not shown:
        return None
    columns = max(1, min(len(shown), (width + GAP) // (LEAST_WIDTH + GAP)))
    plot_width = min(MOST_WIDTH, (width - GAP * (columns - 1)) // columns)
    grid = Table.grid(padding=(0, GAP, 0, 0), pad_edge=False)
    lines, plotted = HEIGHT, len(shown)
    if height is not None:
        rows, room = -(-len(shown) // columns), height - 2
        lines = max(LEAST_HEIGHT, min(HEIGHT, room // rows - CAPTIONS))
        plotted = columns * max(0, (room - CAPTIONS * rows) // lines)
    plots = [
        Group(
            *captions(task, plot_width, span, curves.kept),
            *([plot(task, curves.kept, plot_width, lines, span, ascii_only)] if index < plotted else []),
        )
        for index, task in enumerate(shown)
    ]
    for first in range(0, len(plots), columns):
        grid.add_row(*plots[first : first + columns])
    _, dot, kept = MARKS[ascii_only]
    marked = f" ({kept}: kept)" if curves.kept else ""
    return Group(
        grid, literal(shorten(f"line: train loss, smoothed; {dot}: validation loss{marked}; below: steps", width), "dim")
    )


def captions(task: TaskCurves, width: int, span: int | None, kept: Kept | None = None) -> list[Text]:
    """Two lines: the name of the task with what is kept, and its last losses."""
    losses = [f"train {short(task.train.smoothed(span).values[-1])}"] if task.train else []
    if task.validation:
        least = min(task.validation.values)
        step = task.validation.steps[task.validation.values.index(least)]
        losses.append(f"val {short(task.validation.values[-1])}, lowest {short(least)} at step {step:,}")
    title = literal(shorten(one_line(task.task).plain, width), "bold")
    if kept is not None and task.validation:
        title.append(f"  {shorten(f'kept: {kept}', max(4, width - title.cell_len - 2))}", "not bold")
    return [title, literal("; ".join(losses))]


def evaluation_lines(curves: Curves, before: Curves) -> list[str]:
    """A line for each evaluation of a task that `before` does not have, in the order of steps: for logs and pipes."""
    known = {task.task: set(task.validation.steps) for task in before.tasks}
    lines = []
    for task in curves.tasks:
        scores = dict(zip(task.scores.steps, task.scores.values, strict=True))
        for step, loss in zip(task.validation.steps, task.validation.values, strict=True):
            if step not in known.get(task.task, ()):
                score = f"  {metric_title(task.metric)} {scores[step]:.3f}" if step in scores else ""
                kept = "  kept so far" if curves.kept is not None and curves.kept.step == step else ""
                lines.append((step, f"step {step:,}  {one_line(task.task).plain}  val loss {short(loss)}{score}{kept}"))
    return [line for _, line in sorted(lines, key=lambda pair: pair[0])]


def short(loss: float) -> str:
    """A loss with four significant digits."""
    return f"{loss:.4g}"


def plot(task: TaskCurves, kept: Kept | None, width: int, height: int, span: int | None, ascii_only: bool) -> Text:
    """A plot that is `width` characters wide and legible without colours."""
    import plotext  # has a single, global figure

    line, dot, mark = MARKS[ascii_only]
    train = thinned(task.train.smoothed(span), 4 * width)
    plotext.clear_figure()
    plotext.limit_size(False, False)  # otherwise, the size of the terminal is the limit
    plotext.theme("clear")
    plotext.plot_size(width, height)
    ranges = [spread(task.train.steps + task.validation.steps), spread(train.values + task.validation.values)]
    for low_and_high, limit, ticks in zip(ranges, (plotext.xlim, plotext.ylim), (plotext.xticks, plotext.yticks), strict=True):
        limit(*low_and_high)
        positions = ticks_of(*low_and_high)
        ticks(positions, [f"{round(step):,}" for step in positions] if ticks is plotext.xticks else loss_ticks(positions))
    if train:
        plotext.plot(train.steps, train.values, marker=line)
    if task.validation:
        plotext.scatter(task.validation.steps, task.validation.values, marker=dot, color="magenta")
    here = [
        value for step, value in zip(task.validation.steps, task.validation.values, strict=True) if kept and step == kept.step
    ]
    if kept is not None and here:
        plotext.scatter([kept.step], here, marker=mark, color="magenta")
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
