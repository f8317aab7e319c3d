"""Examples without classes, ready for training: texts with a teacher's vectors, and pairs of texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtlkit.batch import Batch
from mtlkit.data.batching import Rows
from mtlkit.data.cache import encode_cached
from mtlkit.data.encoded import Encoded
from mtlkit.data.tokenization.tokenizer import TextEncoder
from mtlkit.errors import DataError


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
    """N pairs. `encoded` holds 2N texts, all first ones and then all second ones; `texts`, (2N,), numbers them: texts have the
    same number if the model reads the same tokens; `scores`, (N,) float32, how alike the two of a pair are (empty where pairs
    have none)."""

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

    @property
    def pairs(self) -> NDArray[np.int64]:
        """The numbers of the two texts of each pair, (2, N)."""
        return self.texts.reshape(2, -1)

    def batch(self, rows: Rows) -> Batch:
        return self.encoded.batch(np.concatenate([rows, rows + len(self)]))

    def same(self, rows: Rows) -> NDArray[np.bool_]:
        """(n, n): whether the second text of the pair in a column, not the row's own, equals a text of the pair in the row, or
        its first one equals theirs. Such a column is no negative for the row."""
        first, second = self.pairs[:, rows]
        crossed = first[:, None] == second
        equal: NDArray[np.bool_] = (first[:, None] == first) | (second[:, None] == second) | crossed | crossed.T
        np.fill_diagonal(equal, False)
        return equal

    def alone(self, rows: Rows) -> NDArray[np.bool_]:
        """(n,): which of these pairs have no negative among them."""
        if len(np.unique(self.pairs[:, rows])) == 2 * len(rows):
            return np.full(len(rows), len(rows) == 1)
        alone: NDArray[np.bool_] = self.same(rows).sum(1) == len(rows) - 1
        return alone


def prepare_pairs(firsts: Sequence[str], seconds: Sequence[str], scores: Sequence[float], encoder: TextEncoder) -> PairTexts:
    """Pairs as tokens."""
    return encoded_pairs(encode_cached([*firsts, *seconds], encoder), scores)


def encoded_pairs(encoded: Encoded, scores: Sequence[float]) -> PairTexts:
    """Pairs out of their tokens, all first texts and then all second ones."""
    return PairTexts(encoded, numbered(encoded), np.array(scores, np.float32))


def numbered(encoded: Encoded) -> NDArray[np.int64]:
    """A number for each text, 0, 1, 2, ...: the same for texts of the same tokens."""
    numbers: dict[bytes, int] = {}
    ends = zip(encoded.offsets[:-1].tolist(), encoded.offsets[1:].tolist(), strict=True)
    keys = (encoded.ids[start:end].tobytes() for start, end in ends)
    return np.fromiter((numbers.setdefault(key, len(numbers)) for key in keys), np.int64, len(encoded))


class PairFault(NamedTuple):
    """Why pairs are of no use, and the rest of the sentence for one who trains on them."""

    reason: str
    consequence: str


def pairs_fault(pairs: PairTexts, columns: Sequence[str]) -> PairFault | None:
    """Why no pair has a negative in any other, if so: nothing can be learned from such pairs, and no accuracy measured."""
    no_negative = ", so no pair has a negative to be told from"
    for column, texts in zip(columns, pairs.pairs, strict=False):
        if (texts == texts[0]).all():
            reason = f"column '{column}' holds the same text in all {len(pairs):,} rows, as the model reads it"
            return PairFault(reason, f"{no_negative}; give texts that differ")
    if not np.isin(pairs.pairs, pairs.pairs[:, 0]).any(0).all():
        return None  # one that shares no text with the first
    distinct = np.unique(np.sort(pairs.pairs, axis=0), axis=1)
    # sets of two that all meet have one element in common, or are those of three elements
    few = distinct.shape[1] <= 6
    shared = [(distinct == text).any(0).all() for text in distinct[:, 0]]
    meet = few and all(np.intersect1d(one, other).size for one in distinct.T for other in distinct.T)
    if any(shared) or meet:
        reason = f"any two of the {len(pairs):,} pairs have a text in common"
        return PairFault(reason, f"{no_negative}; give pairs that share no text")
    return None


def scored_pairs_fault(pairs: PairTexts, columns: Sequence[str]) -> PairFault | None:
    """Why scores or cosines cannot differ, if so: there is no order to learn or to measure."""
    first, second, score = columns
    if (pairs.scores == pairs.scores[0]).all():
        reason = f"column '{score}' is {pairs.scores[0]:g} in all {len(pairs):,} rows"
        way = "give scores that differ, or train on pairs that belong together with --objective pairs"
        return PairFault(reason, f", so there is no order to learn; {way}")
    if (pairs.pairs[0] == pairs.pairs[1]).all():
        reason = f"columns '{first}' and '{second}' hold the same text in each of {len(pairs):,} rows"
        return PairFault(reason, ", so every cosine is 1 whatever is learned; give pairs of different texts")
    if np.unique(np.sort(pairs.pairs, axis=0), axis=1).shape[1] == 1:
        return PairFault(f"all {len(pairs):,} rows hold the same pair of texts", "; give pairs that differ")
    return None


def check_pairs(pairs: PairTexts, columns: Sequence[str], place: str) -> None:
    """Raises DataError where no pair has a negative in any other, so that nothing can be learned from them."""
    if fault := pairs_fault(pairs, columns):
        raise DataError(f"{place}: {fault.reason}{fault.consequence}")


def check_scored_pairs(pairs: PairTexts, columns: Sequence[str], place: str) -> None:
    """Raises DataError where scores or cosines cannot differ, so that there is no order to learn."""
    if fault := scored_pairs_fault(pairs, columns):
        raise DataError(f"{place}: {fault.reason}{fault.consequence}")


def check_texts(texts: TargetTexts, place: str) -> None:
    """Raises DataError where all of several texts are the same, so that there is nothing to tell apart."""
    if len(texts) > 1 and not numbered(texts.encoded).any():
        raise DataError(f"{place}: all {len(texts):,} texts are the same, as the model reads them; give texts that differ")
