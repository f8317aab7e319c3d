"""Batches hold several texts of several labels."""

from __future__ import annotations

import numpy as np
import pytest

from mtlkit.training.sampling.label_batches import LabelSampler


def sampler(counts: list[int], size: int, max_pairs: int = 0, seed: int = 0) -> LabelSampler:
    """Rows with one label each: `counts` rows of each label."""
    labels = np.repeat(np.arange(len(counts)), counts)
    groups = [np.flatnonzero(labels == label) for label in range(len(counts))]
    return LabelSampler(np.full(len(labels), 5), size, seed, "task", groups, max_pairs)


@pytest.mark.parametrize(("counts", "size"), [([8, 8], 8), ([8] * 6, 16), ([2] * 150, 32), ([40, 3, 5], 12), ([8] * 6, 32)])
def test_every_text_has_a_positive_and_a_negative(counts: list[int], size: int) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    for epoch in range(3):
        for batch in sampler(counts, size).epoch(epoch):
            assert len(batch) == len(set(batch.tolist())) <= size
            _, texts = np.unique(labels[batch], return_counts=True)
            assert len(texts) > 1
            assert (texts > 1).all()


def test_an_epoch_of_labels_of_the_same_size_has_each_row_once() -> None:
    batches = sampler([8] * 4, 8).epoch(3)
    assert sorted(np.concatenate(batches).tolist()) == list(range(32))


def test_rare_labels_are_drawn_as_often_as_frequent_ones() -> None:
    rows = np.concatenate(sampler([90, 10], 10).epoch(0))
    assert (rows < 90).sum() == (rows >= 90).sum() == 50
    assert np.bincount(rows[rows >= 90] - 90).tolist() == [5] * 10


def test_an_epoch_is_a_function_of_seed_and_number() -> None:
    def flat(seed: int, epoch: int) -> list[int]:
        rows: list[int] = np.concatenate(sampler([8] * 6, 16, seed=seed).epoch(epoch)).tolist()
        return rows

    assert flat(0, 1) == flat(0, 1)
    assert flat(0, 1) != flat(0, 2)
    assert flat(0, 1) != flat(1, 1)


def test_pairs_are_limited_per_epoch_and_other_epochs_draw_other_rows() -> None:
    many = sampler([500, 500], 10, max_pairs=450)  # 45 pairs in a batch of 10
    first, second = (np.concatenate(many.epoch(epoch)) for epoch in (0, 1))
    assert len(first) == len(second) == 100
    assert set(first.tolist()) != set(second.tolist())
    assert len(sampler([500, 500], 10, max_pairs=1).epoch(0)) == 1


def test_a_row_with_two_labels_is_in_a_batch_once() -> None:
    groups = [np.array([0, 1, 2]), np.array([2, 3, 4]), np.array([0, 2, 4])]
    for batch in LabelSampler(np.full(5, 4), 6, 0, "task", groups).epoch(0):
        assert len(set(batch.tolist())) == len(batch)
