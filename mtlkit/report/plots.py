"""Curves as SVG or PNG pictures, drawn by matplotlib, which is an extra."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from mtlkit.report.log_reader import Curves, Kept, Series, TaskCurves
from mtlkit.report.tables import metric_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Format = Literal["svg", "png", "pdf"]
Draw = Callable[["Axes"], None]

WIDTH, HEIGHT, DOTS_PER_INCH = 6.0, 3.4, 150  # a panel is 6 by 3.4 inches
TRAIN, VALIDATION, OTHERS = "#0072b2", "#d55e00", ("#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")  # Okabe & Ito 2008
KEPT = "#000000"
MARKERS = "osD^v"  # for scores; the next one is used when all colours are
FAINT = 0.3
MOST_EPOCHS = 30  # more are not marked by lines
METADATA: dict[str, dict[str, Any]] = {  # without the time, so that equal pictures have equal bytes
    "svg": {"Date": None, "Creator": "mtlkit"},
    "pdf": {"CreationDate": None, "Creator": "mtlkit"},
    "png": {"Software": "mtlkit"},
}
SETTINGS: Any = {
    "svg.hashsalt": "mtlkit",
    "text.parse_math": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}
CURVES: Any = {**SETTINGS, "font.size": 13, "axes.titlesize": 14, "legend.fontsize": 11.5}  # legible at half size


def curve_picture(curves: Curves, format: Format, title: str = "", span: int | None = None) -> bytes:
    """The bytes of a picture; equal curves give equal bytes.

    It has a panel for each task with the training loss, faint, and smoothed over `span` points (None: `usual_span`), and the
    validation loss as dots; a dashed line is at the evaluation whose weights are kept. Further panels show the main metrics of
    all tasks, each guard, and the gradient norm.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    panels = panels_of(curves, span)
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    with rc_context(CURVES):
        figure = Figure(figsize=(WIDTH * columns, HEIGHT * rows + 0.4), layout="constrained")
        figure.suptitle(title)
        for index, draw in enumerate(panels, 1):
            axes = figure.add_subplot(rows, columns, index, sharex=figure.axes[0] if index > 1 else None)
            mark_epochs(axes, curves.epochs)
            draw(axes)
            mark_kept(axes, curves.kept)
            axes.set_xlabel("step")
            axes.legend(loc="best", frameon=True, framealpha=0.85, edgecolor="none")
        return picture_bytes(figure, format)


def picture_bytes(figure: Figure, format: str) -> bytes:
    """A figure as a picture. Call it where the settings hold with which the figure was drawn."""
    file = io.BytesIO()
    figure.savefig(file, format=format, dpi=DOTS_PER_INCH, metadata=METADATA[format])
    return file.getvalue()


def panels_of(curves: Curves, span: int | None) -> list[Draw]:
    """The functions that draw the panels."""
    panels: list[Draw] = [partial(draw_task, task=task, span=span) for task in curves.tasks]
    scored = [task for task in curves.tasks if task.scores]
    if scored:
        panels.append(partial(draw_scores, tasks=scored))
    for name, losses in curves.guards.items():
        panels.append(partial(draw_series, series=losses, span=span, title=f"guard {name}", unit="loss"))
    if curves.gradient_norm:
        norm = "gradient norm before clipping"
        panels.append(partial(draw_series, series=curves.gradient_norm, span=span, title=norm, unit="L2 norm"))
    return panels


def draw_task(axes: Axes, task: TaskCurves, span: int | None) -> None:
    draw_series(axes, task.train, span, task.task, "loss", "train")
    if task.validation:
        axes.plot(
            task.validation.steps, task.validation.values, "o-", color=VALIDATION, linewidth=1.2, markersize=7, label="validation"
        )


def draw_series(axes: Axes, series: Series, span: int | None, title: str, unit: str, name: str = "every step") -> None:
    """Draws a series as a faint line, and smoothed as a strong one."""
    if series:
        axes.plot(series.steps, series.values, color=TRAIN, alpha=FAINT, linewidth=0.8, label=name)
        smoothed = series.smoothed(span)
        axes.plot(smoothed.steps, smoothed.values, color=TRAIN, linewidth=2.4, label=f"{name}, smoothed")
    axes.set_title(title)
    axes.set_ylabel(unit)


def draw_scores(axes: Axes, tasks: Sequence[TaskCurves]) -> None:
    """Draws the main metric of each task, which selects the best epoch."""
    colours = (TRAIN, VALIDATION, *OTHERS)
    for index, task in enumerate(tasks):
        colour, marker = colours[index % len(colours)], MARKERS[index // len(colours) % len(MARKERS)]
        name = f"{task.task}: {metric_title(task.metric)}"
        axes.plot(task.scores.steps, task.scores.values, color=colour, marker=marker, markersize=7, linewidth=1.8, label=name)
    axes.set_title("validation scores")
    axes.set_ylabel("score (1 is best)")


def mark_kept(axes: Axes, kept: Kept | None) -> None:
    """Draws a dashed line at the evaluation whose weights are kept."""
    if kept is not None:
        axes.axvline(kept.step, color=KEPT, linewidth=1.6, linestyle="--", label=f"kept: {kept}")


def mark_epochs(axes: Axes, epochs: Sequence[int]) -> None:
    """Draws a thin line at the end of each epoch, unless there are many."""
    for step in epochs if len(epochs) <= MOST_EPOCHS else ():
        axes.axvline(step, color="#cccccc", linewidth=0.6, zorder=0)
