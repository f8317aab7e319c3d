"""The best sequence of tags for each text, among those that a scheme allows (Viterbi 1967), for many texts at once in numpy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mtlkit.data.labels.tag_schemes import Bools, Transitions
from mtlkit.evaluation.intervals import Values
from mtlkit.evaluation.spans import Numbers

CELLS_AT_ONCE = 1 << 22  # numbers in the largest temporary array: texts x tags x tags


def viterbi(scores: NDArray[np.floating], begins: Bools, allowed: Transitions) -> Numbers:
    """The tags of W words whose total score is highest among the allowed sequences, (W,).

    scores: of each tag for each word, (W, C). begins: whether a word is the first of its text, (W,).
    """
    weights = [np.where(part, 0.0, -np.inf) for part in (allowed.start, allowed.pairs, allowed.end)]
    firsts = np.flatnonzero(begins)
    lengths = np.diff(np.append(firsts, len(begins)))
    order = np.argsort(-lengths, kind="stable")  # long texts first: at each position, those that go on are the first ones
    tags = np.zeros(len(begins), np.int64)
    step = max(1, CELLS_AT_ONCE // scores.shape[1] ** 2)
    for start in range(0, len(order), step):
        rows = order[start : start + step]
        _decode(scores, firsts[rows], lengths[rows], weights, tags)
    return tags


def _decode(scores: NDArray[np.floating], firsts: Numbers, lengths: Numbers, weights: list[Values], tags: Numbers) -> None:
    """Writes the tags of texts, the longest first, into `tags`."""
    start, pairs, end = weights
    counts = [int(count) for count in np.searchsorted(-lengths, -np.arange(lengths[0]), side="left")]  # texts with such a word
    best = start + scores[firsts]
    arriving: list[Numbers] = []  # at each position but the first, the best tag before each tag, (texts, C)
    for position, count in list(enumerate(counts))[1:]:
        sums = best[:count, :, None] + pairs
        arriving.append(sums.argmax(1))
        best[:count] = sums.max(1) + scores[firsts[:count] + position]
    last = (best + end).argmax(1)
    for position, count in reversed(list(enumerate(counts))):
        tags[firsts[:count] + position] = last[:count]
        if position:
            last[:count] = np.take_along_axis(arriving[position - 1], last[:count, None], 1)[:, 0]
