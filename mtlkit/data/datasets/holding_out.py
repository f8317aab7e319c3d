"""Which texts are held out: at random, and never one that training texts repeat."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mtlkit.data.batching import Rows
from mtlkit.data.quality.near_duplicates import TextNumbers, near_pairs
from mtlkit.seeding import generator

LETTERS_COMPARED = 20_000_000  # of all texts: about ten seconds; in larger corpora only equal texts are kept together


def held_out_groups(groups: Rows, share: float, most: int, seed: int, *name: str, least: int = 1) -> NDArray[np.bool_]:
    """Marks about `share` of the rows, `most` at most, as held out: whole groups, so that equal rows stay on one side. `groups`
    numbers the group of each row, (N,), from 0. `least` groups at least are held out and as many are left; marks nothing where
    there are too few for that."""
    sizes = np.bincount(groups)
    count = min(most, max(least, round(len(groups) * share)))
    order = generator(seed, *name).permutation(len(sizes))
    total = np.cumsum(sizes[order])
    whole = int(np.searchsorted(total, count, side="right"))  # groups that fit into the share
    taken = order[: max(0, min(max(least, whole), len(sizes) - least))]
    held: NDArray[np.bool_] = np.isin(groups, taken)
    return held


def separate_texts(texts: Sequence[str], share: float, most: int, seed: int, *name: str) -> NDArray[np.bool_]:
    """Marks the held-out ones of N texts, (N,). Texts that differ only in case and white space stay on one side; a text that is
    nearly a training text becomes one itself, unless that would leave nothing held out."""
    numbers = TextNumbers()
    groups = numbers.of(texts)
    held = held_out_groups(groups, share, most, seed, *name)
    if sum(map(len, texts)) > LETTERS_COMPARED:
        return held
    distinct = numbers.texts()
    inside = np.unique(groups[held])
    train = np.unique(groups[~held])
    apart, joined = inside, train
    while len(joined) and len(apart):
        near = np.array([pair.text for pair in near_pairs(distinct, apart, joined)], np.int64)
        apart, joined = np.setdiff1d(apart, near), near  # what has just become training text may have its own near texts
    return np.isin(groups, apart) if len(apart) else held
