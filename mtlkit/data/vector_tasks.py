"""Examples without classes, ready for training: texts with a teacher's vectors, and pairs of texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtlkit.batch import Batch
from mtlkit.data.batching import Rows
from mtlkit.data.cache import encode_cached
from mtlkit.data.encoded import Encoded
from mtlkit.data.tokenizer import TextEncoder


@dataclass(frozen=True)
class TargetTexts:
    """Texts and the vector that each should have, (N, width)."""

    encoded: Encoded
    targets: NDArray[np.floating]

    def __len__(self) -> int:
        return len(self.encoded)

    @property
    def lengths(self) -> NDArray[np.int64]:
        return self.encoded.lengths

    def batch(self, rows: Rows) -> Batch:
        return self.encoded.batch(rows)


@dataclass(frozen=True)
class PairTexts:
    """N pairs. `encoded` holds 2N texts, all first ones and then all second ones; `texts` says by number which of them are equal;
    `scores`, (N,) float32, how alike the two of a pair are (empty where pairs have none)."""

    encoded: Encoded
    texts: NDArray[np.int64]
    scores: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.encoded) // 2

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of both texts of each pair, (N,)."""
        lengths: NDArray[np.int64] = self.encoded.lengths.reshape(2, -1).sum(0)
        return lengths

    def batch(self, rows: Rows) -> Batch:
        return self.encoded.batch(np.concatenate([rows, rows + len(self)]))

    def same(self, pairs: Rows) -> NDArray[np.bool_]:
        """(n, n): whether the second text of the pair in a column, not the row's own, equals a text of the pair in the row, or
        its first one equals theirs. Such a column is no negative for the row."""
        first, second = self.texts[pairs], self.texts[pairs + len(self)]
        crossed = first[:, None] == second
        equal: NDArray[np.bool_] = (first[:, None] == first) | (second[:, None] == second) | crossed | crossed.T
        np.fill_diagonal(equal, False)
        return equal


def prepare_pairs(firsts: Sequence[str], seconds: Sequence[str], scores: Sequence[float], encoder: TextEncoder) -> PairTexts:
    """Pairs as tokens."""
    texts = [*firsts, *seconds]
    numbers: dict[str, int] = {}
    equal = np.array([numbers.setdefault(text, len(numbers)) for text in texts], np.int64)
    return PairTexts(encode_cached(texts, encoder), equal, np.array(scores, np.float32))
