"""Charts that overlay the curves of several runs. Runs differ in colour, marker and line, so that each of these will do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from mtlkit.errors import shorten
from mtlkit.evaluation.metric_names import all_metrics
from mtlkit.report.curves import thinned
from mtlkit.report.log_reader import Kept, Series, TaskCurves
from mtlkit.report.page.chart import INK, Chart, Tips, file_stem
from mtlkit.report.page.charts import MOST_POINTS, MOST_TIPS
from mtlkit.report.plots import MARKERS, OTHERS, TRAIN, VALIDATION
from mtlkit.report.tables import metric_title, number
from mtlkit.report.text import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = (TRAIN, VALIDATION, OTHERS[0], OTHERS[1], INK)  # the first ones are lighter on a dark page
LINES = ("-", "--", "-.", ":")
SIZE = (4.6, 3.1)  # inches
LONGEST_NAME = 28  # in a legend


@dataclass(frozen=True)
class RunCurves:
    """The curves of a task in a run, the `place` of the run on the page, and the step whose weights were kept."""

    run: str
    place: int
    task: TaskCurves
    kept: Kept | None = None

    @property
    def colour(self) -> str:
        return COLOURS[self.place % len(COLOURS)]

    @property
    def line(self) -> str:
        return LINES[self.place % len(LINES)]

    @property
    def marker(self) -> str:
        return MARKERS[self.place % len(MARKERS)]

    @property
    def label(self) -> str:
        kept = "" if self.kept is None else f", kept: {self.kept}"
        return f"{shorten(printable(self.run), LONGEST_NAME)}{kept}"


Lines: TypeAlias = list[tuple[RunCurves, Series]]


def overlaid_charts(task: str, runs: Sequence[RunCurves]) -> Iterator[Chart]:
    """The losses, and the scores where all runs have the same main metric."""
    name = printable(task)
    train = [(run, thinned(run.task.train.smoothed(), MOST_POINTS)) for run in runs if run.task.train]
    validation = [(run, run.task.validation) for run in runs if run.task.validation]
    scored = [run for run in runs if run.task.scores]
    if train:
        yield _chart(task, "training-loss", f"{name}: training loss, smoothed", "loss", train, marked=False)
    if validation:
        yield _chart(task, "validation-loss", f"{name}: validation loss", "loss", validation)
    if len({run.task.metric for run in scored}) == 1:
        metric = scored[0].task.metric
        share, title = all_metrics()[metric].share, metric_title(metric)
        scores = [(run, _times(run.task.scores, 100 if share else 1)) for run in scored]
        unit = f"{title}, %" if share else title
        yield _chart(task, "score", f"{name}: validation {title}", unit, scores, digits=1 if share else 3)


def _times(series: Series, factor: float) -> Series:
    return Series(series.steps, tuple(factor * value for value in series.values))


def _chart(task: str, stem: str, title: str, unit: str, lines: Lines, *, digits: int = 3, marked: bool = True) -> Chart:
    last = [f"{printable(run.run)} ends at {number(series.values[-1], digits)}" for run, series in lines]
    draw = partial(_draw, lines, unit, digits, marked)
    return Chart(file_stem(task, stem), title, f"{title}, over the steps: {'; '.join(last)}", draw, SIZE)


def _draw(lines: Lines, unit: str, digits: int, marked: bool, figure: Figure, tips: Tips) -> None:
    axes = figure.add_subplot()
    for run, series in lines:
        marker: dict[str, Any] = {"marker": run.marker, "markersize": 4.5} if marked else {}
        axes.plot(series.steps, series.values, label=run.label, linewidth=1.6, color=run.colour, linestyle=run.line, **marker)
        shown = thinned(series, MOST_TIPS)
        points = list(zip(shown.steps, shown.values, strict=True))
        tips.points(axes, points, [f"{printable(run.run)}, step {step:,}: {number(value, digits)}" for step, value in points])
        if run.kept is not None:
            axes.axvline(run.kept.step, linewidth=1.1, alpha=0.8, color=run.colour, linestyle=":")
    axes.set(xlabel="step", ylabel=unit)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.locator_params(axis="x", integer=True, nbins=6)
    axes.legend(loc="best", fontsize="small")
