"""What the losses say at the end of a training."""

from __future__ import annotations

from typing import Any

import pytest

from mtlkit.report.training.small_data import small_data_message
from mtlkit.training.validation.small_data import EpochsLengthened, FewValidationRows, Overfitted, StillLearning
from mtlkit.training.validation.trends import EpochLosses, LossTrends


def trends(
    train: list[float], validation: list[float], scores: list[float] | None = None, epochs: int | None = None
) -> list[Any]:
    found = LossTrends()
    for values in zip(train, validation, scores or [0.5] * len(train), strict=True):
        found.add("topic", EpochLosses(*values))
    return list(LossTrends(found.epochs).events(epochs or len(train)))


def test_both_losses_falling_in_the_last_epoch() -> None:
    assert trends([3.0, 2.0, 1.0], [3.0, 2.5, 2.0]) == [StillLearning("topic", 3, (2.5, 2.0))]


@pytest.mark.parametrize(
    ("train", "validation"),
    [
        ([3.0, 2.0, 1.0], [3.0, 2.0, 1.99]),  # almost flat
        ([3.0, 1.0, 0.99], [3.0, 2.5, 2.0]),
        ([3.0, 2.0, 1.0], [1.95, 2.5, 2.0]),  # falling, but not below the first epoch
        ([3.0, 2.0, 1.0], [0.03, 0.02, 0.015]),  # little is left to learn
        ([3.0], [3.0]),  # one epoch says nothing
        ([3.0, 2.0, 1.0], [2.0, 1.9, 2.2]),  # rose in a single epoch
        ([3.0, 2.0, 1.0, 0.9], [2.0, 1.9, 1.95, 1.98]),  # by less than noise
        ([3.0, 2.0, 2.5, 2.4], [2.0, 1.9, 2.5, 3.0]),  # training loss rose, too
    ],
)
def test_nothing_to_say(train: list[float], validation: list[float]) -> None:
    assert trends(train, validation) == []


def test_overfitting_is_a_rising_loss_without_a_better_score() -> None:
    losses = [3.0, 2.0, 1.0, 0.5], [2.0, 1.5, 1.8, 2.4]
    assert trends(*losses, [0.5, 0.6, 0.6, 0.6]) == [Overfitted("topic", 2, 4, (1.5, 2.4))]
    assert trends(*losses, [0.5, 0.6, 0.6, 0.7]) == []  # more confident, and more often right


def test_a_task_that_left_the_training_says_nothing() -> None:
    assert trends([3.0, 2.0, 1.0], [3.0, 2.5, 2.0], epochs=5) == []


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (StillLearning("t", 6, (0.5, 0.4)), "still falling (validation loss 0.500 to 0.400"),
        (StillLearning("t", 6, (0.5, 0.4)), "train longer with --epochs 12"),
        (StillLearning("t", 6, (0.5, 0.4), 60), "train longer with --min-steps 120"),
        (
            Overfitted("t", 2, 6, (0.5, 0.9)),
            "rose from 0.500 in epoch 2 to 0.900 in epoch 6 while training loss fell (over",
        ),
        (FewValidationRows({"t": 12}, ()), "only 12 validation rows: keeping the last epoch instead of the best-scoring one"),
        (FewValidationRows({"t": 1}, ()), "only 1 validation row: keeping"),
        (FewValidationRows({"t": 12, "u": 3}, ()), "only few validation rows (t 12, u 3): keeping the last epoch"),
        (FewValidationRows({"t": 12}, ("u",)), "too few validation rows to choose an epoch by (t 12); it is chosen by u"),
        (EpochsLengthened(6, 12, 5, 60), "6 epochs of one pass would be 12 steps; each epoch has 5 times as many batches (60 "),
    ],
)
def test_the_sentences(event: Any, words: str) -> None:
    assert words in small_data_message(event)
