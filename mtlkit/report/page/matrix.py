"""A confusion matrix on a page: its cells, and texts behind them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from mtlkit.errors import shorten
from mtlkit.report.evaluation.confusion_plot import confusion_picture
from mtlkit.report.page.chart import Chart, file_stem
from mtlkit.report.text import printable

Place = tuple[int, int]  # true and predicted class

LONGEST_TEXT = 400  # characters of a text
MOST_CLASSES, SMALL, WORST = 150, 12, 40  # classes that are shown at most, with shares, and of a larger matrix
TEXTS_OF_CELL, BYTES_OF_TEXTS = 8, 200_000  # of all cells of a matrix
PAIRS = 10  # most frequent confusions


@dataclass(frozen=True)
class Matrix:
    """Counts of true classes (rows) and predicted classes (columns), and some texts of each cell."""

    task: str
    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    texts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    left_out: int = 0  # classes that are not shown

    @property
    def is_small(self) -> bool:
        """Whether there is room for shares in the cells."""
        return len(self.labels) <= SMALL

    @property
    def shares(self) -> list[list[float]]:
        """Each count relative to its row."""
        return [[count / max(1, sum(row)) for count in row] for row in self.counts]

    @property
    def confused(self) -> list[tuple[int, int, int, float]]:
        """The most frequent confusions: true class, predicted class, texts, and their share of the row."""
        shares = self.shares
        cells = [
            (true, other, count, shares[true][other])
            for true, row in enumerate(self.counts)
            for other, count in enumerate(row)
            if true != other and count
        ]
        return sorted(cells, key=lambda cell: (-cell[2], -cell[3]))[:PAIRS]


def make_matrix(task: str, labels: Sequence[str], counts: Sequence[Sequence[int]], rows: Iterable[tuple[Place, str]]) -> Matrix:
    """The matrix of a task. `rows` are the evaluated rows: the cell of each, and its text."""
    matrix = np.array(counts, np.int64)
    shown = _shown(matrix)
    places = {int(index): place for place, index in enumerate(shown)}
    shown_rows = ((places[true], places[other], text) for (true, other), text in rows if {true, other} <= places.keys())
    texts = _texts(shown_rows)
    names = tuple(cut(labels[index]) for index in shown)
    kept = matrix[np.ix_(shown, shown)].tolist()
    return Matrix(task, names, tuple(map(tuple, kept)), texts, len(labels) - len(shown))


def matrix_chart(task: str, labels: Sequence[str], counts: Sequence[Sequence[int]]) -> Chart:
    """The matrix as a picture; the page has it as a table."""
    name, picture = printable(task), partial(confusion_picture, {task: (labels, counts)})
    return Chart(
        file_stem(task, "confusion"), f"{name}: confusion", f"Confusion matrix of {name}", lambda *_: None, picture=picture
    )


def _shown(matrix: NDArray[np.int64]) -> NDArray[np.int64]:
    """All classes, or those with the most errors if there are too many."""
    if len(matrix) <= MOST_CLASSES:
        return np.arange(len(matrix))
    wrong = matrix - np.diag(matrix.diagonal())
    worst = np.argsort(-(wrong.sum(0) + wrong.sum(1)), kind="stable")[:WORST]
    return np.sort(worst)


def _texts(rows: Iterable[tuple[int, int, str]]) -> dict[str, list[str]]:
    """The first texts of each cell. Cells take turns, those off the diagonal first, until there are enough for a page."""
    first: dict[Place, list[str]] = {}
    for true, other, text in rows:
        some = first.setdefault((true, other), [])
        if len(some) < TEXTS_OF_CELL:
            some.append(text)
    order = sorted(first, key=lambda place: (place[0] == place[1], place))
    chosen: dict[str, list[str]] = {}
    for key, text in _by_turns(order, first):
        chosen.setdefault(key, []).append(text)
    return chosen


def _by_turns(order: Sequence[Place], first: Mapping[Place, Sequence[str]]) -> Iterator[tuple[str, str]]:
    left = BYTES_OF_TEXTS
    for turn in range(TEXTS_OF_CELL):
        for place in order:
            if turn < len(first[place]):
                text = cut(first[place][turn])
                left -= len(json.dumps(text, ensure_ascii=False).encode(errors="replace"))
                if left < 0:
                    return
                yield f"{place[0]},{place[1]}", text


def cut(text: str) -> str:
    """A text as the page shows it."""
    return shorten(printable(text), LONGEST_TEXT)
