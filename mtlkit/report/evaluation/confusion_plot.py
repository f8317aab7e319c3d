"""Confusion matrices as pictures, by matplotlib, which is an extra."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mtlkit.errors import shorten
from mtlkit.report.plots import SETTINGS, picture_bytes
from mtlkit.report.text import one_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Matrix = tuple[Sequence[str], Sequence[Sequence[int]]]  # labels, and a row of counts per true class

CELL, SMALL_CELL, LEAST_SIDE = 0.72, 0.2, 2.2  # inches
MOST_NUMBERS, MOST_NAMES = 20, 150  # classes up to which cells have numbers, and axes have the names of classes
LONGEST = 24  # characters of a name
RIGHT, WRONG, EMPTY = "Blues", "Oranges", "#f6f8fa"  # from light to dark; colour-blind readers tell both apart
LIGHTEST, DARKEST = 0.2, 0.85  # ends of their scales: a single wrong row of many must be seen
LIGHT_TEXT = 0.7  # share of a row from which text in a cell is white
FONT, SMALL_FONT, TITLE_FONT = 11, 10, 13  # legible at half size


def confusion_picture(tasks: Mapping[str, Matrix], format: str) -> bytes:
    """A panel per task, one below the other: rows are true, columns predicted classes; colours are shares of a row. Equal
    matrices give equal bytes."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    sides = [_side(len(labels)) for labels, _ in tasks.values()]
    margin = 2.9  # names of classes, title and axes
    with rc_context(SETTINGS):
        figure = Figure(figsize=(max(sides) + margin, sum(sides) + margin * len(sides)), layout="constrained")
        grid = figure.add_gridspec(len(tasks), 1, height_ratios=sides)
        for index, (task, (labels, counts)) in enumerate(tasks.items()):
            draw_matrix(figure.add_subplot(grid[index]), task, labels, np.array(counts, dtype=np.int64))
        return picture_bytes(figure, format)


def draw_matrix(axes: Axes, task: str, labels: Sequence[str], matrix: NDArray[np.int64], font: float | None = None) -> None:
    """Draws a matrix, with numbers if it has few classes. `font` is the size of names and numbers."""
    shares = matrix / np.maximum(1, matrix.sum(axis=1, keepdims=True))
    numbered = len(labels) <= MOST_NUMBERS
    paint(axes, matrix, shares, as_shapes=numbered)
    title, font = (font or TITLE_FONT) + (2 if font else 0), font or (FONT if numbered else SMALL_FONT)
    total, right = int(matrix.sum()), int(matrix.diagonal().sum())
    name = shorten(one_line(task).plain, 60)
    axes.set_title(f"{name}: {right:,} of {total:,} right ({right / max(1, total):.1%})", fontsize=title)
    axes.set_xlabel("predicted", fontsize=title)
    axes.set_ylabel("true", fontsize=title)
    names = [shorten(one_line(label).plain, LONGEST) for label in labels] if len(labels) <= MOST_NAMES else []
    turned = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if numbered else {"rotation": 90}
    axes.set_xticks(range(len(names)), names, fontsize=font, **turned)
    axes.set_yticks(range(len(names)), names, fontsize=font)
    axes.tick_params(length=0)
    for place in ("left", "bottom"):
        axes.spines[place].set_visible(False)
    for (row, column), count in np.ndenumerate(matrix) if numbered else ():
        share = shares[row, column]
        colour = "white" if share >= LIGHT_TEXT else "black"
        text = f"{count:,}\n{share:.0%}" if count else "0"
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=font)


def paint(axes: Axes, matrix: NDArray[np.int64], shares: NDArray[np.float64], *, as_shapes: bool) -> None:
    """Colours the cells by their shares, those on the diagonal in another colour. Many cells are an image rather than shapes."""
    from matplotlib import colormaps
    from matplotlib.colors import to_rgba

    strength = LIGHTEST + (DARKEST - LIGHTEST) * shares
    colours = np.where(np.eye(len(matrix), dtype=bool)[..., None], colormaps[RIGHT](strength), colormaps[WRONG](strength))
    colours[matrix == 0] = to_rgba(EMPTY)
    if as_shapes:
        ends = np.arange(len(matrix) + 1) - 0.5
        axes.pcolormesh(ends, ends, colours, edgecolors="white", linewidth=1)
    else:
        axes.imshow((255 * colours).round().astype(np.uint8), interpolation="none")
    axes.set(aspect="equal", ylim=(len(matrix) - 0.5, -0.5))


def _side(classes: int) -> float:
    """The side of a panel in inches."""
    return max(LEAST_SIDE, classes * (CELL if classes <= MOST_NUMBERS else SMALL_CELL))
