"""The nearest items are those of a full sort, however the items are cut into blocks."""

from __future__ import annotations

import numpy as np
import pytest

from mtlkit.inference.nearest import Nearest


def sorted_best(scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    numbers = np.broadcast_to(np.arange(scores.shape[1]), scores.shape)
    order = np.lexsort((numbers, -scores), axis=1)[:, :k]
    return order, np.take_along_axis(scores, order, axis=1)


@pytest.mark.parametrize("block", [1, 7, 40])
def test_blocks_give_the_best_of_a_full_sort(block: int) -> None:
    random = np.random.default_rng(0)
    scores = random.normal(size=(5, 40)).astype(np.float32)
    scores[:, 20:] = scores[:, :20]  # every score twice, negative ones as well
    scores[0, :30] = 0.0
    scores[0, 3] = -0.0
    shuffled = random.permutation(40)
    nearest = Nearest(5, 9)
    for start in range(0, 40, block):
        items = shuffled[start : start + block]
        for rows in (slice(0, 2), slice(2, 5)):
            nearest.add(rows, scores[rows][:, items], items)
    found, values = nearest.best()
    order, wanted = sorted_best(scores + np.float32(0), 9)
    np.testing.assert_array_equal(found, order)
    np.testing.assert_array_equal(values, wanted)


def test_items_left_out_are_never_found() -> None:
    nearest = Nearest(1, 3)
    nearest.add(slice(0, 1), np.array([[-np.inf, -2.0, -np.inf, 1.0]], np.float32), np.arange(4))
    found, scores = nearest.best()
    assert found.tolist() == [[3, 1, -1]]
    assert scores.tolist() == [[1.0, -2.0, -np.inf]]
