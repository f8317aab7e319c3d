"""Confusion matrices for the terminal: the matrix where it fits, else the classes with most errors. Nothing here prints."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rich.console import Group
from rich.text import Text

from mtlkit.report.columns import narrow
from mtlkit.report.tables import new_table, titled
from mtlkit.report.text import literal, one_line

WORST = 10  # classes that stand for a matrix that does not fit
LEAST, STRONG, STRONGEST = 0.005, 0.1, 0.5  # shares from which a cell is coloured, bold, reversed


def confusion_view(task: str, labels: Sequence[str], matrix: NDArray[np.int64], width: int) -> Group:
    """The matrix; where it is wider than `width`, the classes with most errors first, and the others counted."""
    return confusion_table(task, labels, matrix, width) or worst_classes(task, labels, matrix, width)


def confusion_table(task: str, labels: Sequence[str], matrix: NDArray[np.int64], width: int) -> Group | None:
    """Rows true, columns predicted; count and share of the row. None where it is wider than `width`."""
    cell = len(str(matrix.max())) + 5
    room = width - len(labels) * (cell + 3) - 2  # for the label of a row
    if room < 8:
        return None
    names = min(20, room)
    table = new_table()
    table.add_column("", max_width=names, overflow="ellipsis", no_wrap=True)
    for label in labels:
        most = cell + (room - names) // len(labels)
        table.add_column(one_line(label), max_width=most, justify="right", overflow="ellipsis", no_wrap=True)
    for place, (label, row) in enumerate(zip(labels, matrix.tolist(), strict=True)):
        shares = [count / max(1, sum(row)) for count in row]
        cells = [heat_cell(count, share, place == other) for other, (count, share) in enumerate(zip(row, shares, strict=True))]
        table.add_row(one_line(label), *cells)
    return titled(f"{task}: rows true, columns predicted", table)


def worst_classes(task: str, labels: Sequence[str], matrix: NDArray[np.int64], width: int) -> Group:
    """A row per class with its texts, errors, and the class that it was mistaken for most."""
    texts, right = matrix.sum(axis=1), matrix.diagonal()
    errors = texts - right
    order = np.argsort(-errors, kind="stable")
    shown = [place for place in order.tolist()[:WORST] if errors[place]]
    wrong = matrix - np.diag(right)
    most = [int(wrong[place].argmax()) for place in shown]
    figures = [
        ["texts", *(f"{texts[place]:,}" for place in shown)],
        ["wrong", *(f"{errors[place]:,}" for place in shown)],
        ["recall", *(f"{right[place] / texts[place]:.1%}" for place in shown)],
        ["times", *(f"{wrong[place, other]:,}" for place, other in zip(shown, most, strict=True))],
    ]
    names = {"class": [labels[place] for place in shown], "mostly predicted as": [labels[place] for place in most]}
    rest = [place for place in range(len(labels)) if place not in shown]
    title = f"{task}: classes with most errors, of {len(labels)} ({errors.sum():,} of {texts.sum():,} texts wrong)"
    lines = [narrow(names, figures, width)] if shown else []
    if rest:
        counted = f"{len(rest)} other classes: {right[rest].sum():,} of {texts[rest].sum():,} texts right"
        return Group(literal(title, "bold"), *lines, literal(f"{counted}; --output FILE.csv writes the whole matrix", "dim"))
    return Group(literal(title, "bold"), *lines)


def heat_cell(count: int, share: float, right: bool) -> Text:
    """A cell that stands out the more, the larger its share of the row: green on the diagonal, red off it."""
    return Text(f"{count} {share:4.0%}", style=heat(share, right))


def heat(share: float, right: bool) -> str:
    """A style for a share from 0 to 1. It uses the terminal's own colours, so that it can be read on light and dark backgrounds
    and with 16 colours; without colours, bold and reversed cells remain."""
    if share < LEAST:
        return "dim"
    strength = "" if share < STRONG else "bold " if share < STRONGEST else "bold reverse "
    return f"{strength}{'green' if right else 'red'}"
