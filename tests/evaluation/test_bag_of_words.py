"""The bag-of-words baseline."""

from __future__ import annotations

import numpy as np
import pytest

from mtlkit.evaluation.bag_of_words import cross_validated, folds_of, scored_on

TEXTS = [f"{word} number {place}" for place in range(10) for word in ("river", "a")]
CLASSES = np.array([0, 1] * 10)


def test_words_that_tell_classes_apart_are_learnt_from_other_rows() -> None:
    found = scored_on(TEXTS, CLASSES, ["river number", "the river", "a", "a thing"], np.array([0, 0, 1, 2]))
    assert found is not None
    assert (found.accuracy, found.rows, found.train, found.folds) == (0.75, 4, 20, 0)  # class 2 was not in training
    assert found.interval.low < 0.75 < found.interval.high


def test_cross_validation_scores_each_row_without_training_on_it() -> None:
    found = cross_validated(TEXTS, CLASSES)
    assert found is not None
    assert (found.accuracy, found.rows, found.folds) == (1.0, 20, 5)
    unique = cross_validated([f"word{place}" for place in range(20)], CLASSES)  # no word occurs twice
    assert unique is not None
    assert unique.accuracy <= 0.6


@pytest.mark.parametrize(("classes", "folds"), [([0, 0, 0], 0), ([0, 1, 1], 1), ([0, 0, 1, 1, 1], 2), ([0, 1] * 9, 5)])
def test_folds_have_two_classes_to_train_on(classes: list[int], folds: int) -> None:
    assert folds_of(np.array(classes)) == folds


def test_nothing_to_measure() -> None:
    assert cross_validated(["a b", "c d"], np.array([0, 1])) is None  # too few rows
    assert cross_validated(["", " ", "", " "], np.array([0, 1, 0, 1])) is None  # no words
    assert scored_on(["a b", "c d"], np.array([1, 1]), ["a"], np.array([1])) is None  # one class
