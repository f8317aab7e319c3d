"""How a confusion matrix differs between two runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtlkit.report.page.blocks import Block, Shade, columns
from mtlkit.report.page.matrix import SMALL, cut

MOST_CELLS = 15  # of a large matrix
STRONG = 0.2  # the change of a cell, as a share of its row, that is coloured most


def change_block(names: tuple[str, str], first: Mapping[str, Any], other: Mapping[str, Any]) -> Block | None:
    """The changes from the first run's matrix to the other's; None without matrices of the same classes, or without a change."""
    sides = [metrics if "confusion" in metrics else metrics.get("word_confusion") for metrics in (first, other)]
    if sides[0] is None or sides[1] is None or set(sides[0]["labels"]) != set(sides[1]["labels"]):
        return None
    labels = list(sides[0]["labels"])
    order = [sides[1]["labels"].index(label) for label in labels]
    before, after = np.array(sides[0]["confusion"], np.int64), np.array(sides[1]["confusion"], np.int64)[np.ix_(order, order)]
    if not (before != after).any():
        return None
    shown = [cut(label) for label in labels]
    return _matrix(names, shown, before, after) if len(labels) <= SMALL else _largest(names, shown, before, after)


def _matrix(names: tuple[str, str], labels: list[str], before: NDArray[np.int64], after: NDArray[np.int64]) -> Block:
    rows = []
    for true, label in enumerate(labels):
        cells = [_cell(before, after, true, other) for other in range(len(labels))]
        rows.append((label, *cells))
    caption = f"Confusion matrix of {names[1]}; in brackets the change from {names[0]}"
    note = "Rows are true classes, columns predicted ones."
    return Block(caption, columns("true class", *labels, numbers=labels), tuple(rows), note)


def _largest(names: tuple[str, str], labels: list[str], before: NDArray[np.int64], after: NDArray[np.int64]) -> Block:
    """The cells with the largest changes."""
    changes = np.abs(after - before).ravel()
    rows = []
    for place in np.argsort(-changes, kind="stable")[: min(MOST_CELLS, int((changes > 0).sum()))]:
        true, other = divmod(int(place), len(labels))
        change = _cell(before, after, true, other, only_change=True)
        rows.append((labels[true], labels[other], f"{before[true, other]:,}", f"{after[true, other]:,}", change))
    numbers = (*names, "change")
    caption = f"Cells of the confusion matrix that differ most from {names[0]} to {names[1]}"
    return Block(caption, columns("true class", "predicted as", *numbers, numbers=numbers), tuple(rows))


def _cell(before: NDArray[np.int64], after: NDArray[np.int64], true: int, other: int, *, only_change: bool = False) -> Shade:
    """A count and its change, coloured by whether more texts of the class are right."""
    count, change = int(after[true, other]), int(after[true, other] - before[true, other])
    signed = f"{change:+,}".replace("-", "\N{MINUS SIGN}")
    text = signed if only_change else f"{count:,} ({signed})" if change else f"{count:,}"
    better = change if true == other else -change
    return Shade.of(text, better / max(1, int(before[true].sum())) / STRONG)
