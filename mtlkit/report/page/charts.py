"""Charts of a page as inline SVG, drawn by matplotlib: no script, a few kilobytes each, and legible without colours.

Texts stay texts, and everything black takes the colour of the page, so that one drawing serves light and dark pages and print.
Points have the values as tooltips.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from itertools import count
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from mtlkit.evaluation.reliability import Reliability
from mtlkit.report.evaluation.calibration_plot import draw_diagram
from mtlkit.report.log_reader import Curves, Series, TaskCurves
from mtlkit.report.plots import SETTINGS, TRAIN, VALIDATION, mark_epochs
from mtlkit.report.tables import metric_title, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Draw = Callable[["Figure", "Tips"], None]

SVG = "{http://www.w3.org/2000/svg}"
INK = "#010203"  # replaced by the colour of the page's text
STYLE: Any = {
    **SETTINGS,
    "svg.fonttype": "none",
    "font.size": 10,
    "savefig.transparent": True,
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color", "legend.labelcolor"), INK),
}
LOSS_SIZE, SQUARE = (6.4, 3.0), (3.6, 3.4)  # inches
MOST_POINTS = 60  # points of a smoothed curve that have a tooltip
TIP = "tip"
FONTS = re.compile(r"font-family: [^;\"]*")


class Tips:
    """Tooltips of points: each is found again in the SVG by its group id."""

    def __init__(self) -> None:
        self.texts: dict[str, list[str]] = {}
        self._numbers = count()

    def add(self, texts: list[str]) -> str:
        """The group id for points that have these texts, in order."""
        name = f"{TIP}-{next(self._numbers)}"
        self.texts[name] = texts
        return name


def task_charts(task: TaskCurves, curves: Curves, kept: int | None) -> Iterator[str]:
    """The loss, and the main metric if it was measured, over the steps; a line marks the step whose weights were kept."""
    yield drawn(lambda figure, tips: _draw_loss(figure.add_subplot(), tips, task, curves, kept))
    if task.scores:
        yield drawn(lambda figure, tips: _draw_scores(figure.add_subplot(), tips, task, curves, kept))


def reliability_chart(task: str, reliability: Reliability) -> str:
    """Accuracy against confidence."""

    def draw(figure: Figure, tips: Tips) -> None:
        axes = figure.add_subplot()
        draw_diagram(axes, task, reliability)
        axes.set(title="", xlabel="confidence")
        axes.tick_params(labelbottom=True)
        bins = reliability.bins
        texts = [f"{one.count:,} texts: confidence {one.confidence:.2f}, right {one.accuracy:.2f}" for one in bins]
        add_points(axes, tips, [(one.confidence, one.accuracy) for one in bins], texts)

    return drawn(draw, SQUARE)


def _draw_loss(axes: Axes, tips: Tips, task: TaskCurves, curves: Curves, kept: int | None) -> None:
    mark_epochs(axes, curves.epochs)
    if task.train:
        smoothed = task.train.smoothed()
        axes.plot(task.train.steps, task.train.values, color=TRAIN, alpha=0.25, linewidth=0.7, rasterized=len(task.train) > 5000)
        axes.plot(smoothed.steps, smoothed.values, color=TRAIN, linewidth=1.8, label="train")
        stride = max(1, len(smoothed) // MOST_POINTS)
        some = Series(smoothed.steps[::stride], smoothed.values[::stride])
        add_points(axes, tips, list(zip(some.steps, some.values, strict=True)), point_texts(some, "train"))
    if task.validation:
        series = task.validation
        axes.plot(series.steps, series.values, "o-", color=VALIDATION, linewidth=1, label="validation")
        add_points(axes, tips, list(zip(series.steps, series.values, strict=True)), point_texts(series, "validation"))
    _finish(axes, kept, "loss")


def _draw_scores(axes: Axes, tips: Tips, task: TaskCurves, curves: Curves, kept: int | None) -> None:
    mark_epochs(axes, curves.epochs)
    series = task.scores
    axes.plot(series.steps, series.values, "o-", color=VALIDATION, label="validation")
    add_points(axes, tips, list(zip(series.steps, series.values, strict=True)), point_texts(series, metric_title(task.metric)))
    _finish(axes, kept, metric_title(task.metric))


def _finish(axes: Axes, kept: int | None, label: str) -> None:
    if kept is not None:
        axes.axvline(kept, color=INK, linewidth=1, linestyle=":", label="kept")
    axes.set(xlabel="step", ylabel=label)
    axes.legend(loc="best")


def point_texts(series: Series, name: str) -> list[str]:
    return [f"step {step:,}: {name} {number(value)}" for step, value in zip(series.steps, series.values, strict=True)]


def add_points(axes: Axes, tips: Tips, points: list[tuple[float, float]], texts: list[str]) -> None:
    """Invisible points that show a text where the pointer is."""
    horizontal, vertical = zip(*points, strict=True) if points else ((), ())
    (line,) = axes.plot(horizontal, vertical, "o", markersize=9, alpha=0, clip_on=False)
    line.set_gid(tips.add(texts))


def drawn(draw: Draw, size: tuple[float, float] = LOSS_SIZE) -> str:
    """The SVG element of a figure, as wide as its place in the page."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    tips = Tips()
    with rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure, tips)
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return _for_page(file.getvalue(), tips)


def _for_page(svg: str, tips: Tips) -> str:
    ElementTree.register_namespace("", SVG[1:-1])
    ElementTree.register_namespace("xlink", "http://www.w3.org/1999/xlink")
    root = ElementTree.fromstring(svg)
    for group in root.iter(f"{SVG}g"):
        texts = tips.texts.get(group.get("id", ""), [])
        for use, text in zip(group.iter(f"{SVG}use"), texts, strict=False):
            ElementTree.SubElement(use, f"{SVG}title").text = text
    for name in ("width", "height"):
        root.attrib.pop(name, None)
    root.set("role", "img")
    for parent in list(root.iter()):
        for child in [child for child in parent if child.tag in (f"{SVG}style", f"{SVG}metadata")]:
            parent.remove(child)  # a style would apply to the whole page
    return FONTS.sub("font-family: inherit", ElementTree.tostring(root, encoding="unicode").replace(INK, "currentColor"))
