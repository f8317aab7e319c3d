"""Resemblance of texts: Jaccard similarity of their shingles, estimated by MinHash signatures.

The resemblance of two texts is the number of shingles in both divided by the number in either (Broder 1997, "On the resemblance
and containment of documents"). A shingle is a run of SHINGLE characters instead of Broder's words, so that a single sentence has
enough of them and a small change has little effect. A signature holds the minimum of each of many random hashes of a text's
shingles; the share of equal values in two signatures estimates the resemblance of the texts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from mtlkit.data.batching import Rows
from mtlkit.progress import count, counting
from mtlkit.seeding import generator

SHINGLE = 5  # characters
LETTERS_AT_ONCE = 1 << 16  # characters per batch: few enough for the caches of a processor
LETTERS_COMPARED = 20_000  # characters of a text: enough to recognize a book
FACTORS = generator(0, "mixing").integers(2**63, size=3, dtype=np.uint64) * np.uint64(2) + np.uint64(1)  # odd: invertible

Signatures = NDArray[np.uint32]


def shingles(text: str) -> set[str]:
    """All runs of SHINGLE characters of a text; a shorter text is its only shingle."""
    text = text[:LETTERS_COMPARED]
    return {text[start : start + SHINGLE] for start in range(max(1, len(text) - SHINGLE + 1))}


def resemblance(text: str, other: str) -> float:
    """The Jaccard similarity of the shingles of two texts, from 0 to 1."""
    mine, theirs = shingles(text), shingles(other)
    return len(mine & theirs) / len(mine | theirs)


def signatures(texts: Sequence[str], size: int) -> Signatures:
    """The MinHash signatures of texts, (N, size). A text's signature does not depend on the other texts."""
    random = generator(0, "shingles")
    factors = random.integers(2**31, size=size, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    summands = random.integers(2**32, size=size, dtype=np.uint32)
    result = np.empty((len(texts), size), np.uint32)
    with counting("comparing", "compared", len(texts)):
        for start, stop in batch_ranges(np.fromiter(map(len, texts), np.int64, len(texts)), LETTERS_AT_ONCE):
            hashes, begins = _hashes(texts[start:stop])
            for column, (factor, summand) in enumerate(zip(factors, summands, strict=True)):
                result[start:stop, column] = np.minimum.reduceat(hashes * factor + summand, begins)
            count("compared", stop - start)
    return result


def batch_ranges(sizes: Rows, most: int) -> Iterator[tuple[int, int]]:
    """Yields (start, stop) of consecutive items with a total size of about `most`."""
    borders = np.flatnonzero(np.diff(np.cumsum(sizes) // most)) + 1
    starts = [0, *borders.tolist()]
    yield from zip(starts, [*starts[1:], len(sizes)], strict=True) if len(sizes) else ()


def mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Hashes numbers so that every bit of the result depends on every bit of the number."""
    half = np.uint64(32)
    for factor in FACTORS[1:]:
        numbers = (numbers ^ (numbers >> half)) * factor
    result: NDArray[np.uint64] = numbers ^ (numbers >> half)
    return result


def _hashes(texts: Sequence[str]) -> tuple[NDArray[np.uint32], Rows]:
    """A hash for each shingle of each text, including repeated ones, and the index where each text starts."""
    cut = [text[:LETTERS_COMPARED].ljust(SHINGLE, "\0") for text in texts]
    letters = np.frombuffer("".join(cut).encode("utf-32-le", "surrogatepass"), np.uint32)
    lengths = np.fromiter(map(len, cut), np.int64, len(cut))
    runs = np.zeros(len(letters) - SHINGLE + 1, np.uint64)
    for offset in range(SHINGLE):
        runs = runs * FACTORS[0] + letters[offset : offset + len(runs)]
    ends = np.cumsum(lengths)
    whole = np.ones(len(letters), bool)
    for offset in range(1, SHINGLE):
        whole[ends - offset] = False  # these reach into the next text
    counts = lengths - SHINGLE + 1
    return mixed(runs[whole[: len(runs)]]).astype(np.uint32), np.cumsum(counts) - counts
