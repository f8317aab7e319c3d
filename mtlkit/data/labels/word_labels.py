"""Encoded labels of words: the numbers of their tags, and where texts begin.

An array (W, 2) holds a row for each word of all texts. The first column is the number of its tag. The second one is the sum of
marks: TEXT at the first word of a text, WINDOW at the first word of a later window of a long text, CUT at the word before that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtlkit.batch import CUT, TEXT, WINDOW
from mtlkit.data.labels.marks import Label

Numbers = NDArray[np.int64]


def encode_tags(names: Sequence[str], labels: Sequence[Label]) -> tuple[Numbers, Numbers]:
    """The encoded labels, (W, 2), of texts whose tags all have one of these names, and the numbers of these texts."""
    numbers = {name: number for number, name in enumerate(names)}
    found = [[numbers.get(tag, -1) for tag in label] if label and isinstance(label, tuple) else [-1] for label in labels]
    rows = np.array([row for row, tags in enumerate(found) if -1 not in tags], np.int64)
    kept = [found[row] for row in rows]
    encoded = np.zeros((sum(map(len, kept)), 2), np.int64)
    if kept:
        encoded[:, 0] = np.concatenate([np.array(tags, np.int64) for tags in kept])
        encoded[np.cumsum([0, *map(len, kept[:-1])]), 1] = TEXT
    return encoded, rows


def text_offsets(labels: NDArray[Any]) -> Numbers:
    """Where the words of each of N texts begin, and the end, (N + 1,), from labels (W, 2)."""
    return np.append(np.flatnonzero(first_words(labels)), len(labels))


def first_words(labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether each word is the first of its text, (W,), from labels (W, 2)."""
    first: NDArray[np.bool_] = (labels[:, 1] & TEXT) > 0
    return first


def mark_windows(labels: NDArray[Any], first: Numbers) -> None:
    """Marks the first words of later windows, and the words before them, in place. first: the first words of all windows."""
    later = first[(labels[first, 1] & TEXT) == 0]
    labels[later, 1] |= WINDOW
    labels[later - 1, 1] |= CUT
