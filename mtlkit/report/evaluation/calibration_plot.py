"""Reliability diagrams, by matplotlib, which is an extra."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mtlkit.evaluation.calibration import BINS
from mtlkit.evaluation.reliability import Reliability
from mtlkit.report.plots import SETTINGS, TRAIN, picture_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIDE, COUNTS = 3.8, 0.25  # of a panel in inches; height of the counts below it, relative to the diagram
DIAGONAL = "#888888"
FONT = 12  # legible at half size


def reliability_picture(tasks: Mapping[str, Reliability], format: str) -> bytes:
    """A panel per task: accuracy against confidence per bin, with Wilson's intervals and the diagonal of perfect calibration, and
    below it how many forecasts are in each bin. Equal figures give equal bytes."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    columns = min(3, len(tasks))
    rows = -(-len(tasks) // columns)
    with rc_context({**SETTINGS, "font.size": FONT}):
        figure = Figure(figsize=(SIDE * columns, SIDE * (1 + COUNTS) * rows), layout="constrained")
        grid = figure.add_gridspec(2 * rows, columns, height_ratios=[1, COUNTS] * rows)
        for index, (task, reliability) in enumerate(tasks.items()):
            row, column = divmod(index, columns)
            axes = figure.add_subplot(grid[2 * row, column])
            draw_diagram(axes, task, reliability)
            draw_counts(figure.add_subplot(grid[2 * row + 1, column], sharex=axes), reliability)
        return picture_bytes(figure, format)


def draw_diagram(axes: Axes, task: str, reliability: Reliability) -> None:
    """Accuracy against confidence."""
    axes.plot([0, 1], [0, 1], color=DIAGONAL, linestyle="--", linewidth=1, label="perfect")
    confidence, accuracy = ([getattr(bucket, name) for bucket in reliability.bins] for name in ("confidence", "accuracy"))
    below = [max(0.0, bucket.accuracy - bucket.interval.low) for bucket in reliability.bins]
    above = [max(0.0, bucket.interval.high - bucket.accuracy) for bucket in reliability.bins]
    axes.errorbar(confidence, accuracy, [below, above], color=TRAIN, fmt="o-", capsize=2, markersize=4, label="head, 95 %")
    error = f"expected calibration error {100 * reliability.error.value:.1f} points"
    axes.set_title(f"{task}\n{error}", fontsize="medium")
    axes.set(xlim=(0, 1), ylim=(0, 1), ylabel="share with the label" if reliability.labels > 1 else "accuracy")
    axes.tick_params(labelbottom=False)
    axes.legend(loc="best", fontsize="small")


def draw_counts(axes: Axes, reliability: Reliability) -> None:
    """How many forecasts are in each bin."""
    several = reliability.labels > 1
    lows, counts = ([getattr(bucket, name) for bucket in reliability.bins] for name in ("low", "count"))
    axes.bar(lows, counts, 1 / BINS, align="edge", color=TRAIN, alpha=0.5)
    axes.set(xlabel="probability" if several else "confidence", ylabel="forecasts" if several else "texts")
