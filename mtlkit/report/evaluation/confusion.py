"""Confusion matrices for the terminal: the matrix if it fits, otherwise the classes with the most errors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rich.console import Group
from rich.text import Text

from mtlkit.report.columns import narrow
from mtlkit.report.tables import new_table, titled
from mtlkit.report.text import literal, one_line

WORST = 10  # classes to list if the matrix does not fit
LEAST, STRONG, STRONGEST = 0.005, 0.1, 0.5  # minimum shares of a cell to be coloured, bold, reversed


def confusion_view(task: str, labels: Sequence[str], matrix: NDArray[np.int64], width: int) -> Group:
    """The matrix; if it is wider than `width`, the classes with the most errors and a summary of the others."""
    return confusion_table(task, labels, matrix, width) or worst_classes(task, labels, matrix, width)


def confusion_table(task: str, labels: Sequence[str], matrix: NDArray[np.int64], width: int) -> Group | None:
    """The matrix with a row per true and a column per predicted class: counts and shares of the row. None if wider than
    `width`.
    """
    cell = len(str(matrix.max())) + 5
    available = width - len(labels) * (cell + 3) - 2  # for the labels of rows
    if available < 8:
        return None
    names = min(20, available)
    table = new_table()
    table.add_column("", max_width=names, overflow="ellipsis", no_wrap=True)
    for label in labels:
        most = cell + (available - names) // len(labels)
        table.add_column(one_line(label), max_width=most, justify="right", overflow="ellipsis", no_wrap=True)
    for index, (label, row) in enumerate(zip(labels, matrix.tolist(), strict=True)):
        shares = [count / max(1, sum(row)) for count in row]
        cells = [heat_cell(count, share, index == other) for other, (count, share) in enumerate(zip(row, shares, strict=True))]
        table.add_row(one_line(label), *cells)
    return titled(f"{task}: rows true, columns predicted", table)


def worst_classes(task: str, labels: Sequence[str], matrix: NDArray[np.int64], width: int) -> Group:
    """A row per class with its numbers of texts and errors, and the class that is most often predicted instead."""
    texts, right = matrix.sum(axis=1), matrix.diagonal()
    errors = texts - right
    order = np.argsort(-errors, kind="stable")
    shown = [index for index in order.tolist()[:WORST] if errors[index]]
    wrong = matrix - np.diag(right)
    most = [int(wrong[index].argmax()) for index in shown]
    figures = [
        ["texts", *(f"{texts[index]:,}" for index in shown)],
        ["wrong", *(f"{errors[index]:,}" for index in shown)],
        ["recall", *(f"{right[index] / texts[index]:.1%}" for index in shown)],
        ["times", *(f"{wrong[index, other]:,}" for index, other in zip(shown, most, strict=True))],
    ]
    names = {"class": [labels[index] for index in shown], "mostly predicted as": [labels[index] for index in most]}
    rest = [index for index in range(len(labels)) if index not in shown]
    title = f"{task}: classes with most errors, of {len(labels)} ({errors.sum():,} of {texts.sum():,} texts wrong)"
    lines = [narrow(names, figures, width)] if shown else []
    if rest:
        counted = f"{len(rest)} other classes: {right[rest].sum():,} of {texts[rest].sum():,} texts right"
        return Group(literal(title, "bold"), *lines, literal(f"{counted}; --output FILE.csv writes the whole matrix", "dim"))
    return Group(literal(title, "bold"), *lines)


def heat_cell(count: int, share: float, right: bool) -> Text:
    """A cell of the matrix: green on the diagonal (`right`) and red elsewhere, more prominent for a larger share of the row."""
    return Text(f"{count} {share:4.0%}", style=heat(share, right))


def heat(share: float, right: bool) -> str:
    """The style for a share from 0 to 1. It uses the terminal's own colours, which are legible on light and dark backgrounds;
    without colours, bold and reversed cells remain.
    """
    if share < LEAST:
        return "dim"
    strength = "" if share < STRONG else "bold " if share < STRONGEST else "bold reverse "
    return f"{strength}{'green' if right else 'red'}"
