"""Tokenized training data without classes: texts with target vectors, and pairs of texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtlkit.batch import Batch
from mtlkit.data.batching import Rows
from mtlkit.data.cache import encode_cached
from mtlkit.data.encoded import Encoded
from mtlkit.data.tokenization.tokenizer import TextEncoder
from mtlkit.errors import DataError

ROWS_AT_ONCE = 256  # pairs to compare with all hard negatives at once


@dataclass(frozen=True)
class TargetTexts:
    """Texts and their target vectors, (N, width)."""

    encoded: Encoded
    targets: NDArray[np.floating]

    def __len__(self) -> int:
        return len(self.encoded)

    @property
    def lengths(self) -> NDArray[np.int64]:
        return self.encoded.lengths

    def texts_of(self, rows: Rows) -> Rows:
        return rows

    def batch(self, rows: Rows) -> Batch:
        return self.encoded.batch(rows)


@dataclass(frozen=True)
class PairTexts:
    """N pairs of texts, each with M hard negatives: texts that do not match its first text.

    `encoded` holds (2 + M) N texts: all first texts, all second texts, then the first negative of each pair, and so on. `texts`,
    ((2 + M) N,), numbers them; the number is the same for the same tokens. `scores`, (N,) float32, are the similarities of the
    pairs; empty if there are none. `negatives` is M.
    """

    encoded: Encoded
    texts: NDArray[np.int64]
    scores: NDArray[np.float32]
    negatives: int = 0

    @property
    def columns(self) -> int:
        """The number of texts of a row, 2 + M."""
        return 2 + self.negatives

    def __len__(self) -> int:
        return len(self.encoded) // self.columns

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of all texts of each row, (N,)."""
        lengths: NDArray[np.int64] = self.encoded.lengths.reshape(self.columns, -1).sum(0)
        return lengths

    @property
    def pairs(self) -> NDArray[np.int64]:
        """The numbers of the two texts of each pair, (2, N)."""
        return self.texts.reshape(self.columns, -1)[:2]

    @property
    def hard(self) -> NDArray[np.int64]:
        """The numbers of the hard negatives, (M, N)."""
        return self.texts.reshape(self.columns, -1)[2:]

    def texts_of(self, rows: Rows) -> Rows:
        return np.concatenate([rows + column * len(self) for column in range(self.columns)])

    def batch(self, rows: Rows) -> Batch:
        return self.encoded.batch(self.texts_of(rows))

    @cached_property
    def _matching(self) -> NDArray[np.int64]:
        """Each pair as one number, sorted."""
        first, second = self.pairs
        return np.unique(first * len(self.texts) + second)

    def matches(self, rows: Rows) -> NDArray[np.bool_]:
        """(n, M n): whether a hard negative of these rows, in the order of `hard`, is a text of the pair, or belongs to its first
        text in another pair, so that it is no negative of it."""
        hard = self.hard[:, rows].ravel()
        found = np.zeros((len(rows), len(hard)), np.bool_)
        for start in range(0, len(rows) if len(hard) else 0, ROWS_AT_ONCE):
            some = slice(start, start + ROWS_AT_ONCE)
            first, second = self.pairs[:, rows[some], None]
            keys = first * len(self.texts) + hard
            places = np.minimum(np.searchsorted(self._matching, keys), len(self._matching) - 1)
            found[some] = (first == hard) | (second == hard) | (self._matching[places] == keys)
        return found

    def same(self, rows: Rows) -> NDArray[np.bool_]:
        """(n, n): whether two different pairs have a text in common, so that neither is a negative of the other."""
        first, second = self.pairs[:, rows]
        crossed = first[:, None] == second
        equal: NDArray[np.bool_] = (first[:, None] == first) | (second[:, None] == second) | crossed | crossed.T
        np.fill_diagonal(equal, False)
        return equal

    def alone(self, rows: Rows) -> NDArray[np.bool_]:
        """(n,): which of these pairs have no negative among these rows."""
        if self.negatives:
            none: NDArray[np.bool_] = self.matches(rows).all(1) & (self.same(rows).sum(1) == len(rows) - 1)
            return none
        if len(np.unique(self.pairs[:, rows])) == 2 * len(rows):
            return np.full(len(rows), len(rows) == 1)
        alone: NDArray[np.bool_] = self.same(rows).sum(1) == len(rows) - 1
        return alone


def prepare_pairs(
    firsts: Sequence[str],
    seconds: Sequence[str],
    scores: Sequence[float],
    encoder: TextEncoder,
    negatives: Sequence[Sequence[str]] = (),
) -> PairTexts:
    """Tokenizes pairs. `negatives` has M columns of hard negatives."""
    texts = [*firsts, *seconds, *chain.from_iterable(negatives)]
    return encoded_pairs(encode_cached(texts, encoder), scores, len(negatives))


def encoded_pairs(encoded: Encoded, scores: Sequence[float], negatives: int = 0) -> PairTexts:
    """Pairs from tokenized texts: all first texts, all second texts, then `negatives` columns of hard negatives."""
    return PairTexts(encoded, number_texts(encoded), np.array(scores, np.float32), negatives)


def number_texts(encoded: Encoded) -> NDArray[np.int64]:
    """Numbers the texts 0, 1, 2, ...; texts with the same tokens have the same number. (N,)."""
    numbers: dict[bytes, int] = {}
    ends = zip(encoded.offsets[:-1].tolist(), encoded.offsets[1:].tolist(), strict=True)
    keys = (encoded.ids[start:end].tobytes() for start, end in ends)
    return np.fromiter((numbers.setdefault(key, len(numbers)) for key in keys), np.int64, len(encoded))


class PairFault(NamedTuple):
    """Why pairs cannot be used, and the consequence for training, which ends the message."""

    reason: str
    consequence: str


def pairs_fault(pairs: PairTexts, columns: Sequence[str]) -> PairFault | None:
    """Why no pair has a negative among the others, so that nothing can be learned or measured; None if some have."""
    if pairs.negatives:
        return None
    no_negatives = ", so no pair has negatives"
    for column, texts in zip(columns, pairs.pairs, strict=False):
        if (texts == texts[0]).all():
            reason = f"column '{column}' has the same tokens in all {len(pairs):,} rows"
            return PairFault(reason, f"{no_negatives}; use different texts")
    if not np.isin(pairs.pairs, pairs.pairs[:, 0]).any(0).all():
        return None  # a pair has no text in common with the first
    distinct = np.unique(np.sort(pairs.pairs, axis=0), axis=1)
    # sets of two elements that all intersect pairwise share one element, or are subsets of three elements
    few = distinct.shape[1] <= 6
    in_all = [(distinct == text).any(0).all() for text in distinct[:, 0]]
    intersect = few and all(np.intersect1d(left, right).size for left in distinct.T for right in distinct.T)
    if any(in_all) or intersect:
        reason = f"any two of the {len(pairs):,} pairs have a text in common"
        return PairFault(reason, f"{no_negatives}; use pairs without common texts")
    return None


def scored_pairs_fault(pairs: PairTexts, columns: Sequence[str]) -> PairFault | None:
    """Why scores or cosines cannot differ, so that no ranking can be learned or measured; None if they can."""
    first, second, score = columns
    if (pairs.scores == pairs.scores[0]).all():
        reason = f"column '{score}' is {pairs.scores[0]:g} in all {len(pairs):,} rows"
        advice = "use different scores, or train on positive pairs with --objective pairs"
        return PairFault(reason, f", so there is nothing to learn; {advice}")
    if (pairs.pairs[0] == pairs.pairs[1]).all():
        reason = f"columns '{first}' and '{second}' have the same text in each of {len(pairs):,} rows"
        return PairFault(reason, ", so every cosine is 1; use pairs of different texts")
    if np.unique(np.sort(pairs.pairs, axis=0), axis=1).shape[1] == 1:
        return PairFault(f"all {len(pairs):,} rows have the same pair of texts", "; use different pairs")
    return None


def check_pairs(pairs: PairTexts, columns: Sequence[str], location: str) -> None:
    """Raises DataError if no pair has a negative among the others."""
    if fault := pairs_fault(pairs, columns):
        raise DataError(f"{location}: {fault.reason}{fault.consequence}")


def check_scored_pairs(pairs: PairTexts, columns: Sequence[str], location: str) -> None:
    """Raises DataError if scores or cosines cannot differ."""
    if fault := scored_pairs_fault(pairs, columns):
        raise DataError(f"{location}: {fault.reason}{fault.consequence}")


def check_texts(texts: TargetTexts, location: str) -> None:
    """Raises DataError if there are several texts and all have the same tokens."""
    if len(texts) > 1 and not number_texts(texts.encoded).any():
        raise DataError(f"{location}: all {len(texts):,} texts have the same tokens; use different texts")
