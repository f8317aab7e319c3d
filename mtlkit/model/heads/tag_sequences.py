"""Sequences of tags for the words of many texts, in numpy: the best sequence of each text, and the probability of each tag.

Shapes: W words of all texts one after another, C tags. `begins`, (W,), says which words are the first of a text. A table of
transitions, (C + 1, C + 1), has the score of each tag after each other one; its last row has those of first tags, its last column
those of last tags. -inf forbids a transition.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]
Scores = NDArray[np.floating[Any]]

CELLS_AT_ONCE = 1 << 22  # numbers in the largest temporary array: texts x tags x tags


class _Texts(NamedTuple):
    """Some texts, the longest first: the first and last word of each, and at each position the number of texts that have it."""

    firsts: Numbers
    lasts: Numbers
    counts: list[int]


def table_of(start: Scores, pairs: Scores, end: Scores) -> Scores:
    """A table of transitions from the scores of first tags, (C,), of pairs of tags, (C from, C to), and of last tags, (C,)."""
    return np.block([[pairs, end[:, None]], [start[None], np.zeros((1, 1), pairs.dtype)]])


def viterbi(scores: Scores, begins: NDArray[np.bool_], table: Scores) -> Numbers:
    """The tags of W words whose total score is highest, (W,), from the score of each tag for each word, (W, C) (Viterbi 1967)."""
    tags = np.zeros(len(begins), np.int64)
    for texts in _in_blocks(begins, scores.shape[1]):
        _decode(scores, texts, table, tags)
    return tags


def log_marginals(scores: Scores, begins: NDArray[np.bool_], table: Scores) -> NDArray[np.float32]:
    """The log-probability of each tag of each word under all sequences of tags, (W, C), by the forward-backward algorithm."""
    table, scores = table.astype(np.float64), scores.astype(np.float64)
    start, pairs, end = table[-1, :-1], table[:-1, :-1], table[:-1, -1]
    totals = np.zeros(scores.shape)
    for firsts, lasts, counts in _in_blocks(begins, scores.shape[1]):
        forward = start + scores[firsts]
        totals[firsts] = forward
        for position, count in list(enumerate(counts))[1:]:
            words = firsts[:count] + position
            forward = _log_sum(forward[:count, :, None] + pairs, 1) + scores[words]
            totals[words] = forward
        backward = np.repeat(end[None], len(lasts), 0)
        totals[lasts] += backward
        for position, count in list(enumerate(counts))[1:]:
            words = lasts[:count] - position
            backward = _log_sum(pairs + (backward[:count] + scores[words + 1])[:, None], 2)
            totals[words] += backward
    return (totals - _log_sum(totals, 1)[:, None]).astype(np.float32)


def _in_blocks(begins: NDArray[np.bool_], tags: int) -> Iterator[_Texts]:
    """All texts, in blocks that bound the memory."""
    firsts = np.flatnonzero(begins)
    lengths = np.diff(np.append(firsts, len(begins)))
    order = np.argsort(-lengths, kind="stable")  # at each position, the texts that go on are the first ones
    step = max(1, CELLS_AT_ONCE // tags**2)
    for start in range(0, len(order), step):
        rows = order[start : start + step]
        own, longest = lengths[rows], lengths[rows[0]]
        counts = np.searchsorted(-own, -np.arange(longest), side="left")
        yield _Texts(firsts[rows], firsts[rows] + own - 1, counts.tolist())


def _decode(scores: Scores, texts: _Texts, table: Scores, tags: Numbers) -> None:
    """Writes the tags of texts into `tags`."""
    start, pairs, end = table[-1, :-1], table[:-1, :-1], table[:-1, -1]
    firsts, _, counts = texts
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


def _log_sum(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """The logarithm of the sum of exponentials along an axis."""
    largest = values.max(axis, keepdims=True)
    sums: NDArray[np.float64] = np.log(np.exp(values - largest).sum(axis)) + largest.squeeze(axis)
    return sums
