"""The strength of regularization is chosen by cross-validation."""

from __future__ import annotations

import numpy as np
import pytest

from mtlkit.tasks.convex import SoftmaxLoss, SquaredLoss
from mtlkit.training.solver import strength
from mtlkit.training.solver.linear import Features
from mtlkit.training.solver.strength import FALLBACK, Trial, choose_strength, one_standard_error

RANDOM = np.random.default_rng(0)


def test_the_strongest_within_one_standard_error_is_chosen() -> None:
    losses = [(0.1, 0.9), (1.0, 0.52), (10.0, 0.5), (100.0, 0.6)]
    assert one_standard_error([Trial(c, loss, 0.03) for c, loss in losses]) == 1
    assert one_standard_error([Trial(c, loss, 0.01) for c, loss in losses]) == 2


def test_noise_is_regularized_more_than_signal() -> None:
    labels = RANDOM.integers(0, 2, 200)
    noise = RANDOM.normal(size=(200, 30))
    signal = noise + 4.0 * np.outer(labels, np.eye(30)[0])
    loss = SoftmaxLoss(labels, 2, np.ones(200))
    chosen = [choose_strength(Features(vectors), loss, labels, "task", 0) for vectors in (noise, signal)]
    assert chosen[0].c < chosen[1].c
    accuracy = [(choice.outputs.argmax(1) == labels[choice.rows]).mean() for choice in chosen]
    assert accuracy[0] < 0.62
    assert accuracy[1] > 0.9
    assert [len(choice.rows) for choice in chosen] == [200, 200]


def test_the_choice_does_not_depend_on_the_scale_of_vectors() -> None:
    labels = RANDOM.integers(0, 3, 90)
    vectors = RANDOM.normal(size=(90, 5)) + np.eye(5)[labels]
    loss = SoftmaxLoss(labels, 3, np.ones(90))
    first, second = (choose_strength(Features(scale * vectors), loss, labels, "task", 0) for scale in (1.0, 100.0))
    assert first.c == second.c
    np.testing.assert_allclose(first.outputs, second.outputs, atol=0.02)


def test_too_few_rows_fall_back() -> None:
    labels = np.array([0, 1, 2])
    choice = choose_strength(Features(np.eye(3)), SoftmaxLoss(labels, 3, np.ones(3)), labels, "task", 0)
    assert (choice.c, choice.folds, choice.trials) == (FALLBACK, 0, ())


def test_numbers_and_two_rows_of_a_class_are_cross_validated() -> None:
    vectors = RANDOM.normal(size=(40, 3))
    choice = choose_strength(Features(vectors), SquaredLoss(vectors[:, 0], np.ones(40)), np.arange(40) // 4, "task", 0)
    assert choice.trials[-1].loss < 0.01
    labels = np.array([0, 0, 1, 1])
    assert len(choose_strength(Features(np.eye(4)), SoftmaxLoss(labels, 2, np.ones(4)), labels, "task", 0).rows) == 4


def test_large_sets_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strength, "WORK", 60 * 4 * 2)
    labels = RANDOM.integers(0, 2, 500)
    vectors = RANDOM.normal(size=(500, 4)) + np.outer(labels, np.ones(4))
    choice = choose_strength(Features(vectors), SoftmaxLoss(labels, 2, np.ones(500)), labels, "task", 0)
    assert 20 <= len(choice.rows) <= 28  # two of five folds of 60 rows
    np.testing.assert_array_equal(choice.rows, np.unique(choice.rows))
