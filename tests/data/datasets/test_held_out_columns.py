"""Rows with labels in several columns are held out for all of them at once."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from mtlkit.config.architecture import Kind
from mtlkit.data.datasets.held_out_columns import hold_out_columns
from mtlkit.data.labels.marks import Label
from mtlkit.errors import DataError

ROWS = 400
KINDS: dict[str, Kind] = {"topic": "classification", "mood": "classification", "tags": "multi-label", "stars": "regression"}


@pytest.fixture
def labels() -> dict[str, list[Label | None]]:
    """Skewed classes and gaps, at random; `mood` has a class with two rows and one with one."""
    random = np.random.default_rng(0)
    shares = [0.6, 0.25, 0.1, 0.05]
    mood: list[Label | None] = ["rare" if row in (3, 9) else "single" if row == 5 else "usual" for row in range(ROWS)]
    return {
        "topic": [None if random.random() < 0.3 else "abcd"[int(random.choice(4, p=shares))] for _ in range(ROWS)],
        "mood": [None if random.random() < 0.5 and label == "usual" else label for label in mood],
        "tags": [tuple("xyz"[: random.integers(4)]) for _ in range(ROWS)],
        "stars": [None if random.random() < 0.9 else float(row) for row in range(ROWS)],
    }


def test_a_share_of_every_class_of_every_column_is_held_out(labels: dict[str, list[Label | None]]) -> None:
    texts = [f"text {row}" for row in range(ROWS)]
    held = hold_out_columns(labels, KINDS, texts, "r.csv", 0.2)
    assert held.sum() == pytest.approx(0.2 * ROWS, abs=8)
    for name, values in labels.items():
        present = np.array([label is not None for label in values])
        assert held[present].mean() == pytest.approx(0.2, abs=0.05)
        classes = Counter(label for label in values if isinstance(label, str))
        left = Counter(label for label, out in zip(values, held, strict=True) if isinstance(label, str) and not out)
        assert left.keys() == classes.keys(), name
        for label, count in classes.items():
            if count > 10:
                assert 1 - left[label] / count == pytest.approx(0.2, abs=0.06)
    assert (hold_out_columns(labels, KINDS, texts, "r.csv", 0.2) == held).all()
    assert not hold_out_columns(labels, KINDS, texts, "r.csv", 0).any()


def test_rows_of_one_text_are_on_one_side(labels: dict[str, list[Label | None]]) -> None:
    texts = [f"Text {row // 4}" if row % 2 else f"text  {row // 4}" for row in range(ROWS)]
    held = hold_out_columns(labels, KINDS, texts, "r.csv")
    assert 0 < held.sum() < ROWS / 4
    assert all(len(set(held[start : start + 4].tolist())) == 1 for start in range(0, ROWS, 4))


def test_a_column_with_few_labels_has_one_on_both_sides() -> None:
    labels: dict[str, list[Label | None]] = {"topic": list("ab" * 20), "rare": ["x", "y", "x", *[None] * 37]}
    kinds: dict[str, Kind] = {"topic": "classification", "rare": "classification"}
    held = hold_out_columns(labels, kinds, [f"text {row}" for row in range(40)], "r.csv")
    assert held[[0, 2]].sum() == 1
    assert not held[1]


@pytest.mark.parametrize(
    ("rare", "message"),
    [
        (["x"], r"r.csv: column 'rare' has 1 label; a task needs at least two"),
        (["x", "y"], "r.csv: column 'rare': every class has only one row"),
    ],
)
def test_a_column_that_cannot_be_split_is_refused(rare: list[Label | None], message: str) -> None:
    labels: dict[str, list[Label | None]] = {"topic": list("ab" * 20), "rare": [*rare, *[None] * (40 - len(rare))]}
    with pytest.raises(DataError, match=message):
        hold_out_columns(labels, dict.fromkeys(labels, "classification"), [f"text {row}" for row in range(40)], "r.csv")
