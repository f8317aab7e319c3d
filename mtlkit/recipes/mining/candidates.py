"""Texts of which each different one is used once: the first texts of pairs, their second texts, the texts of a corpus."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from mtlkit.data.quality.near_duplicates import folded


def key_of(text: str) -> bytes:
    """The same for texts that differ only in case and white space."""
    return blake2b(folded(text).encode("utf-8", "surrogatepass"), digest_size=16).digest()


class DistinctTexts:
    """The different texts among those that `read` gives, numbered in order. Blank ones are left out. Only digests are kept, so
    texts are read again each time."""

    def __init__(self, read: Callable[[], Iterable[str]]) -> None:
        self.read = read

    def __iter__(self) -> Iterator[str]:
        seen: set[bytes] = set()
        for text in self.read():
            if text.strip() and (key := key_of(text)) not in seen:
                seen.add(key)
                yield text

    def numbered(self, numbers: NDArray[np.int64]) -> dict[int, str]:
        """The texts with these numbers."""
        wanted = set(numbers.tolist())
        return {number: text for number, text in enumerate(self) if number in wanted}
