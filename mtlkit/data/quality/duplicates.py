"""Finds the texts of a corpus that repeat earlier ones, so that a base is not trained on them twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtlkit.config.commands.pretrain import Dedup
from mtlkit.data.cache import fingerprint
from mtlkit.data.quality.near_duplicates import BANDS, NEAR, ROWS, TextNumbers, near_earlier
from mtlkit.runs.store import DUPLICATES, Arrays, cache_key, has_shape, user_entry

FORMAT = "1"  # increment when other texts would be found
LETTERS_COMPARED = 500_000_000  # characters of all texts: about a minute; in larger corpora, only equal texts are found


@dataclass(frozen=True)
class Duplicates:
    """Which of N texts are `equal` to an earlier one, up to case and white space, or `near` one, (N,) each.

    `is_large`: the corpus is too large to look for the latter.
    """

    equal: NDArray[np.bool_]
    near: NDArray[np.bool_]
    is_large: bool = False

    @property
    def any(self) -> NDArray[np.bool_]:
        """Which texts repeat an earlier one, (N,)."""
        return self.equal | self.near


def find_duplicates(texts: Sequence[str], dedup: Dedup) -> Duplicates:
    """The duplicates to remove; near ones from the cache if possible."""
    if dedup == "none":
        return Duplicates(np.zeros(len(texts), bool), np.zeros(len(texts), bool))
    numbers = TextNumbers()
    own = numbers.of(texts)
    first = np.unique(own, return_index=True)[1]  # of each different text
    equal, near = np.ones(len(texts), bool), np.zeros(len(texts), bool)
    equal[first] = False
    if dedup == "exact":
        return Duplicates(equal, near)
    different = numbers.texts()
    if sum(map(len, different)) > LETTERS_COMPARED:
        return Duplicates(equal, near, is_large=True)
    near[first[_near_cached(different)]] = True
    return Duplicates(equal, near)


def _near_cached(texts: Sequence[str]) -> NDArray[np.int64]:
    """The texts that are near an earlier one."""

    def compare() -> Arrays:
        return {"near": np.array([pair.text for pair in near_earlier(texts)], np.int64)}

    def is_valid(arrays: Arrays) -> bool:
        near = arrays.get("near")
        return near is not None and has_shape(near, "<i8", len(near)) and bool(((near >= 0) & (near < len(texts))).all())

    key = cache_key(FORMAT, fingerprint(texts), repr((NEAR, BANDS, ROWS)))
    return user_entry(DUPLICATES, key).get(compare, is_valid).arrays["near"]
