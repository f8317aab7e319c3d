"""The most similar items to each of many queries, found block by block: memory does not grow with the number of items."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float32]
Rows = NDArray[np.int64]
NOTHING = np.iinfo(np.uint64).max  # the key of no item
HALF = np.uint64(32)
SIGN = np.uint32(1 << 31)


class Nearest:
    """The `k` items with the highest scores for each of Q queries; of equal scores, those with the lowest numbers.

    An item is kept as one integer, its score above its number, so that comparing two of them decides ties, too.
    """

    def __init__(self, queries: int, k: int) -> None:
        self.keys = np.full((queries, k), NOTHING, np.uint64)

    def add(self, queries: slice, scores: Scores, items: Rows) -> None:
        """Compares a block of items, numbered `items`, (N,), below 2^32, with some of the queries. scores: (queries, N), -inf for
        items that are left out."""
        keys = _keys(scores, items)
        kept = self.keys[queries]
        better = keys < kept.max(1, keepdims=True)
        if not better.any():
            return
        columns = better.any(0)
        both = np.concatenate([kept, keys[:, columns]], axis=1)
        self.keys[queries] = np.partition(both, kept.shape[1] - 1, axis=1)[:, : kept.shape[1]]

    def best(self) -> tuple[Rows, Scores]:
        """The numbers of the items, best first, and their scores, (Q, k) each; -1 and -inf where there are fewer than k."""
        keys = np.sort(self.keys, axis=1)
        items = (keys & np.uint64(0xFFFFFFFF)).astype(np.int64)
        scores = _scores((keys >> HALF).astype(np.uint32))
        nothing = keys == NOTHING
        return np.where(nothing, -1, items), np.where(nothing, np.float32(-np.inf), scores)


def _keys(scores: Scores, items: Rows) -> NDArray[np.uint64]:
    """Integers that are lower for higher scores, and for lower items where scores are equal; NOTHING for -inf."""
    bits = (scores + np.float32(0)).view(np.uint32)  # -0.0 becomes 0.0
    ascending = np.where(bits & SIGN, ~bits, bits | SIGN)
    keys = (~ascending).astype(np.uint64) << HALF | items.astype(np.uint64)
    return np.where(np.isneginf(scores), NOTHING, keys)


def _scores(descending: NDArray[np.uint32]) -> Scores:
    """The scores of the upper halves of keys."""
    ascending = ~descending
    return np.where(ascending & SIGN, ascending & ~SIGN, ~ascending).astype(np.uint32).view(np.float32)
