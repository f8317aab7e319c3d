"""Finds equal texts, which have the same number, and near duplicates.

Two texts are equal if they differ only in white space and case, and near duplicates if their resemblance (`minhash.py`) is at
least NEAR. Pairs whose signatures agree in all ROWS of one of the BANDS ("banding" in Leskovec, Rajaraman & Ullman, "Mining of
Massive Datasets", 3.4) and in a share LIKELY of all values are compared by their shingles, so there are no false positives. A
pair with resemblance NEAR is missed less than once in 1,000 times: (1 - NEAR^ROWS)^BANDS, plus estimates that are 4 standard
deviations too low.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mtlkit.data.batching import Rows
from mtlkit.data.quality.minhash import FACTORS, Signatures, batch_ranges, mixed, resemblance, signatures

NEAR = 0.8  # share of common shingles
BANDS, ROWS = 24, 6
LIKELY = 0.667  # share of equal values in two signatures: NEAR - 4 sqrt(NEAR (1 - NEAR) / (BANDS ROWS))
MOST_OF_A_BAND = 64  # texts with the same band to consider for a text
MOST_COMPARED = 4  # of these, the most similar ones, to compare by their shingles
MOST_TRIED = 12  # comparisons per text in all bands: similar to many but near none, it is boilerplate
PAIRS_AT_ONCE = 1 << 14


@dataclass
class TextNumbers:
    """Numbers texts 0, 1, 2, ...; equal texts have the same number. Stores one of each in `folded` form."""

    _numbers: dict[str, int] = field(default_factory=dict)

    def of(self, texts: Sequence[str]) -> Rows:
        """The number of each text, (N,)."""
        numbers = self._numbers
        return np.fromiter((numbers.setdefault(folded(text), len(numbers)) for text in texts), np.int64, len(texts))

    def texts(self) -> list[str]:
        """The folded texts, indexed by number."""
        return list(self._numbers)


@dataclass
class PairNumbers:
    """Numbers pairs of texts 0, 1, 2, ...; equal pairs have the same number, in either order."""

    _numbers: dict[tuple[int, int], int] = field(default_factory=dict)

    def of(self, firsts: Rows, seconds: Rows) -> Rows:
        """The number of each pair of these text numbers, (N,)."""
        numbers = self._numbers
        both = zip(firsts.tolist(), seconds.tolist(), strict=True)
        return np.fromiter((numbers.setdefault((min(pair), max(pair)), len(numbers)) for pair in both), np.int64, len(firsts))


def folded(text: str) -> str:
    """A text with case folded and runs of white space replaced by one space."""
    return " ".join(text.split()).casefold()


@dataclass(frozen=True)
class NearPair:
    """The numbers of two texts, and their resemblance."""

    text: int
    other: int
    resemblance: float


def near_pairs(texts: Sequence[str], among: Rows, others: Rows) -> Iterator[NearPair]:
    """Yields, for each text of `among` that has a near duplicate in `others`, one such pair. Both are indices into `texts`.

    Works band by band; a text is done once its pair is found or after MOST_TRIED comparisons, and only some of the texts with the
    same band are considered: neither time nor memory grows with the number of similar pairs, of which boilerplate makes millions.
    """
    mine, theirs = (signatures([texts[number] for number in numbers], BANDS * ROWS) for numbers in (among, others))
    yield from _pairs(texts, (among, mine), (others, theirs), earlier=False)


def near_earlier(texts: Sequence[str]) -> Iterator[NearPair]:
    """Yields, for each text that has a near duplicate among those before it, one such pair; works like `near_pairs`."""
    numbered = np.arange(len(texts)), signatures(texts, BANDS * ROWS)
    yield from _pairs(texts, numbered, numbered, earlier=True)


def _pairs(
    texts: Sequence[str], among: tuple[Rows, Signatures], others: tuple[Rows, Signatures], *, earlier: bool
) -> Iterator[NearPair]:
    """`near_pairs` of texts with their signatures; `earlier`: only with rows before their own."""
    (numbers, mine), (other_numbers, theirs) = among, others
    remaining = np.arange(len(mine))
    tried: set[tuple[int, int]] = set()
    tries: Counter[int] = Counter()
    for band in range(BANDS):
        done = {row for row, times in tries.items() if times >= MOST_TRIED}
        for row, other in _candidates(mine, theirs, remaining, band, earlier=earlier):
            if row in done or (row, other) in tried:
                continue
            tried.add((row, other))
            tries[row] += 1
            value = resemblance(texts[numbers[row]], texts[other_numbers[other]])
            if value >= NEAR:
                done.add(row)
                yield NearPair(int(numbers[row]), int(other_numbers[other]), value)
        remaining = remaining[~np.isin(remaining, list(done))]


def _candidates(
    mine: Signatures, theirs: Signatures, remaining: Rows, band: int, *, earlier: bool = False
) -> Iterator[tuple[int, int]]:
    """Pairs of the `remaining` rows of `mine` and rows of `theirs` that agree in a band and are probably near duplicates: for
    each row of `mine` at most MOST_COMPARED, by descending similarity. `earlier`: only with rows before their own."""
    keys = _keys(theirs, band)
    order = np.argsort(keys, kind="stable")
    first, after = (np.searchsorted(keys[order], _keys(mine[remaining], band), side) for side in ("left", "right"))
    counts = np.minimum(after - first, MOST_OF_A_BAND)
    ends = np.cumsum(counts)
    for start, stop in batch_ranges(counts, PAIRS_AT_ONCE):
        shared = counts[start:stop]
        begins = np.repeat(first[start:stop] - (ends[start:stop] - shared), shared)
        other_rows = order[begins + np.arange(ends[start] - shared[0], ends[stop - 1])]
        rows = np.repeat(remaining[start:stop], shared)
        if earlier:
            rows, other_rows = rows[other_rows < rows], other_rows[other_rows < rows]
        estimates = (mine[rows] == theirs[other_rows]).mean(1)
        best = np.lexsort((-estimates, rows))
        rank = np.arange(len(best)) - np.searchsorted(rows, rows[best])  # of a pair among those of its row
        best = best[(estimates[best] >= LIKELY) & (rank < MOST_COMPARED)]
        yield from zip(rows[best].tolist(), other_rows[best].tolist(), strict=True)


def _keys(values: Signatures, band: int) -> NDArray[np.uint64]:
    """A hash of the values of a band, (N,)."""
    keys = np.zeros(len(values), np.uint64)
    for column in range(band * ROWS, (band + 1) * ROWS):
        keys = mixed(keys * FACTORS[0] + values[:, column])
    return keys
