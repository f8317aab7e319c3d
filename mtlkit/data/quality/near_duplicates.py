"""Texts that stand in two places: the same ones, by a number each, and nearly the same ones.

Two texts are the same if only white space and case tell them apart, and near if their resemblance (`minhash.py`) is at least
NEAR. Pairs whose signatures agree in all ROWS of one of BANDS (the "banding" of Leskovec, Rajaraman & Ullman, "Mining of Massive
Datasets", 3.4) and in LIKELY of all values are compared shingle by shingle, so a pair that is found is near. One at NEAR itself
is missed less than once in 1,000 times: (1 - NEAR^ROWS)^BANDS, and where its estimate is 4 standard deviations low.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mtlkit.data.batching import Rows
from mtlkit.data.quality.minhash import FACTORS, Signatures, lots, mixed, resemblance, signatures

NEAR = 0.8  # of the shingles in common
BANDS, ROWS = 24, 6
LIKELY = 0.667  # of the values of two signatures in common: NEAR less 4 sqrt(NEAR (1 - NEAR) / (BANDS ROWS))
MOST_OF_A_BAND = 64  # texts that share a band with a text and are looked at: where there are thousands, some will do
MOST_COMPARED = 4  # of them, the likeliest, shingle by shingle
MOST_TRIED = 12  # with one text in all: what shares so much with so many and is near to none is boilerplate
PAIRS_AT_ONCE = 1 << 14


@dataclass
class TextNumbers:
    """Gives equal texts the same number, 0, 1, 2, ..., and keeps one of each, in `folded` form."""

    _numbers: dict[str, int] = field(default_factory=dict)

    def of(self, texts: Sequence[str]) -> Rows:
        """The number of each text."""
        numbers = self._numbers
        return np.fromiter((numbers.setdefault(folded(text), len(numbers)) for text in texts), np.int64, len(texts))

    def texts(self) -> list[str]:
        """Every text by its number."""
        return list(self._numbers)


@dataclass
class PairNumbers:
    """Gives equal pairs of texts the same number, 0, 1, 2, ...; the order of the two makes no difference."""

    _numbers: dict[tuple[int, int], int] = field(default_factory=dict)

    def of(self, firsts: Rows, seconds: Rows) -> Rows:
        """The number of each pair, (N,), whose texts have these numbers."""
        numbers = self._numbers
        both = zip(firsts.tolist(), seconds.tolist(), strict=True)
        return np.fromiter((numbers.setdefault((min(pair), max(pair)), len(numbers)) for pair in both), np.int64, len(firsts))


def folded(text: str) -> str:
    """A text without what makes no difference: case, and which white space there is."""
    return " ".join(text.split()).casefold()


@dataclass(frozen=True)
class NearPair:
    """Two texts by their numbers, and how much they resemble each other."""

    text: int
    other: int
    resemblance: float


def near_pairs(texts: Sequence[str], among: Rows, others: Rows) -> Iterator[NearPair]:
    """For each text of `among` (numbers in `texts`, as `others` are) that has one, another that it is near to.

    Band after band; a text that has found its pair, or was compared MOST_TRIED times without, is looked at no more, and of those
    that share a band only some are: neither time nor memory grows with the number of pairs, of which boilerplate makes millions.
    """
    mine, theirs = (signatures([texts[number] for number in numbers], BANDS * ROWS) for numbers in (among, others))
    left = np.arange(len(among))
    tried: set[tuple[int, int]] = set()
    tries: Counter[int] = Counter()
    for band in range(BANDS):
        done = {row for row, times in tries.items() if times >= MOST_TRIED}
        for row, other in _likely(mine, theirs, left, band):
            if row in done or (row, other) in tried:
                continue
            tried.add((row, other))
            tries[row] += 1
            value = resemblance(texts[among[row]], texts[others[other]])
            if value >= NEAR:
                done.add(row)
                yield NearPair(int(among[row]), int(others[other]), value)
        left = left[~np.isin(left, list(done))]


def _likely(mine: Signatures, theirs: Signatures, left: Rows, band: int) -> Iterator[tuple[int, int]]:
    """Rows of `mine`, of those that are left, and of `theirs` that agree in a band and are likely to be near; for each of
    `mine` the likeliest first, MOST_COMPARED at most."""
    keys = _keys(theirs, band)
    order = np.argsort(keys, kind="stable")
    first, after = (np.searchsorted(keys[order], _keys(mine[left], band), side) for side in ("left", "right"))
    counts = np.minimum(after - first, MOST_OF_A_BAND)
    ends = np.cumsum(counts)
    for start, stop in lots(counts, PAIRS_AT_ONCE):
        shared = counts[start:stop]
        begins = np.repeat(first[start:stop] - (ends[start:stop] - shared), shared)
        places = order[begins + np.arange(ends[start] - shared[0], ends[stop - 1])]
        rows = np.repeat(left[start:stop], shared)
        estimates = (mine[rows] == theirs[places]).mean(1)
        best = np.lexsort((-estimates, rows))
        rank = np.arange(len(best)) - np.searchsorted(rows, rows[best])  # of a pair among those of its row
        best = best[(estimates[best] >= LIKELY) & (rank < MOST_COMPARED)]
        yield from zip(rows[best].tolist(), places[best].tolist(), strict=True)


def _keys(values: Signatures, band: int) -> NDArray[np.uint64]:
    """A number for the values of a band, (N,): equal where these are, and hardly ever elsewhere."""
    keys = np.zeros(len(values), np.uint64)
    for column in range(band * ROWS, (band + 1) * ROWS):
        keys = mixed(keys * FACTORS[0] + values[:, column])
    return keys
