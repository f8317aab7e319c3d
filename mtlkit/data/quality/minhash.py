"""How much two texts resemble each other: MinHash signatures of their shingles.

The resemblance of two texts is the number of shingles in both, divided by that in either (Broder 1997, "On the resemblance and
containment of documents"). A shingle is SHINGLE letters in a row here, where Broder takes words: a text of one sentence has
enough of them, and a letter less makes little difference. A signature is the least value of each of many random orders of a
text's shingles; the share of equal values of two signatures estimates the resemblance of the texts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from mtlkit.data.batching import Rows
from mtlkit.seeding import generator

SHINGLE = 5  # letters
LETTERS_AT_ONCE = 1 << 16  # few enough for the caches of a processor
LETTERS_COMPARED = 20_000  # of one text: more of a book than it takes to know it again
FACTORS = generator(0, "mixing").integers(2**63, size=3, dtype=np.uint64) * np.uint64(2) + np.uint64(1)  # odd, so none is lost

Signatures = NDArray[np.uint32]


def shingles(text: str) -> set[str]:
    """All runs of SHINGLE letters of a text; a shorter text is one itself."""
    text = text[:LETTERS_COMPARED]
    return {text[start : start + SHINGLE] for start in range(max(1, len(text) - SHINGLE + 1))}


def resemblance(text: str, other: str) -> float:
    """The share of shingles that two texts have in common (Jaccard), from 0 to 1."""
    mine, theirs = shingles(text), shingles(other)
    return len(mine & theirs) / len(mine | theirs)


def signatures(texts: Sequence[str], size: int) -> Signatures:
    """The MinHash signatures of texts, (N, size): the same ones for the same texts, whatever stands beside them."""
    random = generator(0, "shingles")
    factors = random.integers(2**31, size=size, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    summands = random.integers(2**32, size=size, dtype=np.uint32)
    made = np.empty((len(texts), size), np.uint32)
    for start, stop in lots(np.fromiter(map(len, texts), np.int64, len(texts)), LETTERS_AT_ONCE):
        hashes, begins = _hashes(texts[start:stop])
        for column, (factor, summand) in enumerate(zip(factors, summands, strict=True)):
            made[start:stop, column] = np.minimum.reduceat(hashes * factor + summand, begins)
    return made


def lots(sizes: Rows, most: int) -> Iterator[tuple[int, int]]:
    """Places from where to where things are together of about that size."""
    borders = np.flatnonzero(np.diff(np.cumsum(sizes) // most)) + 1
    starts = [0, *borders.tolist()]
    yield from zip(starts, [*starts[1:], len(sizes)], strict=True) if len(sizes) else ()


def mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Numbers of which every bit depends on every bit."""
    half = np.uint64(32)
    for factor in FACTORS[1:]:
        numbers = (numbers ^ (numbers >> half)) * factor
    found: NDArray[np.uint64] = numbers ^ (numbers >> half)
    return found


def _hashes(texts: Sequence[str]) -> tuple[NDArray[np.uint32], Rows]:
    """A number for each shingle of each text, repeated ones included, and where each text begins among them."""
    cut = [text[:LETTERS_COMPARED].ljust(SHINGLE, "\0") for text in texts]
    letters = np.frombuffer("".join(cut).encode("utf-32-le", "surrogatepass"), np.uint32)
    lengths = np.fromiter(map(len, cut), np.int64, len(cut))
    runs = np.zeros(len(letters) - SHINGLE + 1, np.uint64)
    for place in range(SHINGLE):
        runs = runs * FACTORS[0] + letters[place : place + len(runs)]
    ends = np.cumsum(lengths)
    whole = np.ones(len(letters), bool)
    for place in range(1, SHINGLE):
        whole[ends - place] = False  # these reach into the next text
    counts = lengths - SHINGLE + 1
    return mixed(runs[whole[: len(runs)]]).astype(np.uint32), np.cumsum(counts) - counts
