"""Charts of a task: its loss and its score over the steps, and how far its probabilities can be believed."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from mtlkit.evaluation.metric_names import all_metrics
from mtlkit.evaluation.reliability import Reliability
from mtlkit.report.curves import thinned
from mtlkit.report.evaluation.calibration_plot import draw_diagram, reliability_picture
from mtlkit.report.log_reader import Curves, Kept, Series, TaskCurves
from mtlkit.report.page.chart import INK, SQUARE, Chart, Tips, file_stem
from mtlkit.report.plots import TRAIN, VALIDATION, mark_epochs
from mtlkit.report.tables import figure as metric_figure
from mtlkit.report.tables import metric_title, number
from mtlkit.report.text import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_POINTS, MOST_TIPS = 1000, 60  # of a curve that are drawn, and of a smoothed one that show their values


def task_charts(task: TaskCurves, curves: Curves, kept: Kept | None) -> Iterator[Chart]:
    """The loss, and the main metric if it was measured, over the steps; a line marks the step whose weights were kept."""
    name = printable(task.task)
    if task.train or task.validation:
        draw = partial(_draw_loss, task=task, curves=curves, kept=kept)
        yield Chart(file_stem(task.task, "loss"), f"{name}: loss", loss_words(task, kept), draw)
    if task.scores:
        title = metric_title(task.metric)
        draw = partial(_draw_scores, task=task, curves=curves, kept=kept)
        yield Chart(file_stem(task.task, "score"), f"{name}: validation {title}", score_words(task, kept), draw)


def loss_words(task: TaskCurves, kept: Kept | None) -> str:
    """The curves of the loss in a sentence."""
    smoothed = task.train.smoothed()
    train = [f"training from {number(smoothed.values[0])} to {number(smoothed.values[-1])}"] if smoothed else []
    lowest = min(task.validation.values, default=None)
    validation = [] if lowest is None else [f"validation at its lowest {number(lowest)}"]
    return f"Loss of {printable(task.task)} over the steps: {', '.join(train + validation)}{_kept_words(kept)}"


def score_words(task: TaskCurves, kept: Kept | None) -> str:
    """The curve of the score in a sentence."""
    first, last = (metric_figure(task.scores.values[place], task.metric) for place in (0, -1))
    title = metric_title(task.metric)
    return f"Validation {title} of {printable(task.task)} over the steps: from {first} to {last}{_kept_words(kept)}"


def _kept_words(kept: Kept | None) -> str:
    return "" if kept is None else f"; kept: {kept}"


def reliability_chart(task: str, reliability: Reliability) -> Chart:
    """Accuracy against confidence."""
    bins = reliability.bins

    def draw(figure: Figure, tips: Tips) -> None:
        axes = figure.add_subplot()
        draw_diagram(axes, task, reliability)
        axes.set(title="", xlabel="probability" if reliability.labels > 1 else "confidence")
        axes.tick_params(labelbottom=True)
        noun = "forecasts" if reliability.labels > 1 else "texts"
        texts = [f"{one.count:,} {noun}: mean {one.confidence:.2f}, right {one.accuracy:.2f}" for one in bins]
        tips.points(axes, [(one.confidence, one.accuracy) for one in bins], texts)

    name = printable(task)
    error = f"expected calibration error {100 * reliability.error.value:.1f} points"
    text = f"Accuracy of {name} against its confidence, in {len(bins)} bins; {error}"
    picture = partial(reliability_picture, {task: reliability})
    return Chart(file_stem(task, "calibration"), f"{name}: calibration", text, draw, SQUARE, picture=picture)


def _draw_loss(figure: Figure, tips: Tips, task: TaskCurves, curves: Curves, kept: Kept | None) -> None:
    axes = figure.add_subplot()
    mark_epochs(axes, curves.epochs)
    if task.train:
        raw, smoothed = thinned(task.train, MOST_POINTS), thinned(task.train.smoothed(), MOST_POINTS)
        axes.plot(raw.steps, raw.values, color=TRAIN, alpha=0.35, linewidth=0.7)
        axes.plot(smoothed.steps, smoothed.values, color=TRAIN, linewidth=1.8, label="train, smoothed")
        _tips(axes, tips, thinned(smoothed, MOST_TIPS), "train")
    if task.validation:
        axes.plot(task.validation.steps, task.validation.values, "o-", color=VALIDATION, linewidth=1, label="validation")
        _tips(axes, tips, task.validation, "validation")
    _finish(axes, task, kept, "loss")


def _draw_scores(figure: Figure, tips: Tips, task: TaskCurves, curves: Curves, kept: Kept | None) -> None:
    axes = figure.add_subplot()
    mark_epochs(axes, curves.epochs)
    share, title = all_metrics()[task.metric].share, metric_title(task.metric)
    series = Series(task.scores.steps, tuple((100 if share else 1) * value for value in task.scores.values))
    axes.plot(series.steps, series.values, "o-", color=VALIDATION, label="validation")
    digits = 1 if share else 3
    texts = [f"step {step:,}: {title} {value:.{digits}f}" for step, value in zip(series.steps, series.values, strict=True)]
    tips.points(axes, list(zip(series.steps, series.values, strict=True)), texts)
    _finish(axes, task, kept, f"{title}, %" if share else title)


def _finish(axes: Axes, task: TaskCurves, kept: Kept | None, label: str) -> None:
    last = max([1, *task.train.steps[-1:], *task.validation.steps[-1:], *task.scores.steps[-1:]])
    axes.set_xlim(-0.03 * last, 1.03 * last)  # the same for loss and score
    if kept is not None:
        axes.axvline(kept.step, color=INK, linewidth=1.2, linestyle=":", label=f"kept: {kept}")
    axes.set(xlabel="step", ylabel=label)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.locator_params(axis="x", integer=True, nbins=6)
    axes.legend(loc="best", fontsize="small")


def _tips(axes: Axes, tips: Tips, series: Series, name: str) -> None:
    points = list(zip(series.steps, series.values, strict=True))
    tips.points(axes, points, [f"step {step:,}: {name} {number(value)}" for step, value in points])
