"""All tasks at a glance, as one picture: curves and confusion matrices side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mtlkit.report.evaluation.confusion_plot import MOST_NUMBERS, draw_matrix
from mtlkit.report.page.chart import Chart, Tips
from mtlkit.report.page.matrix import Matrix

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_TASKS = 6
PANEL = (4.0, 2.9)  # inches
TEXTS = {"svg.fonttype": "none", "font.sans-serif": ["DejaVu Sans"]}  # texts as texts: half the bytes of outlines

Row = tuple[Sequence[Chart], Matrix | None]


def overview_chart(rows: Sequence[Row]) -> Chart | None:
    """A row of panels per task; None if there is no more to see than in a single chart."""
    shown = [row for row in rows[:MOST_TASKS] if row[0] or fits(row[1])]
    columns = max((len(charts) + fits(matrix) for charts, matrix in shown), default=0)
    if columns * len(shown) < 2:
        return None

    def draw(figure: Figure, tips: Tips) -> None:
        grid = figure.subfigures(len(shown), columns, squeeze=False)
        for panels, (charts, matrix) in zip(grid, shown, strict=True):
            for panel, chart in zip(panels, charts, strict=False):
                chart.draw(panel, tips)
                panel.suptitle(chart.title, fontsize="medium")
            if matrix is not None and fits(matrix):
                draw_matrix(panels[len(charts)].add_subplot(), matrix.task, matrix.labels, np.array(matrix.counts), font=9)

    size = (PANEL[0] * columns, PANEL[1] * len(shown))
    return Chart("overview", "", f"Curves and confusion matrices of {len(shown)} tasks", draw, size, TEXTS)


def fits(matrix: Matrix | None) -> bool:
    """Whether a matrix is small enough for a panel."""
    return matrix is not None and len(matrix.labels) <= MOST_NUMBERS // 2
