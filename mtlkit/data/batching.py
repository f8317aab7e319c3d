"""Forms batches of rows, as a pure function of seed and epoch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtlkit.seeding import generator

Rows = NDArray[np.int64]

WINDOW = 50  # batches to sort by length together: enough for similar lengths in a batch, few enough to stay random


def cut_by_tokens(rows: Rows, lengths: NDArray[np.int64], budget: int, most: int = 0) -> list[Rows]:
    """Cuts rows, in order, into batches of at most `budget` tokens (but at least one row) and `most` rows (0: no limit)."""
    batches: list[Rows] = []
    start = used = 0
    for index, length in enumerate(lengths[rows].tolist()):
        if (used + length > budget and index > start) or index - start == (most or len(rows)):
            batches.append(rows[start:index])
            start, used = index, 0
        used += length
    if start < len(rows):
        batches.append(rows[start:])
    return batches


def spread_batches(rows: Rows, lengths: NDArray[np.int64], budget: int, texts: NDArray[np.int64], most: int = 0) -> list[Rows]:
    """`cut_by_tokens` for pairs of texts that spreads pairs with a common text evenly, as they are not negatives of each other.

    `texts`, (2, all rows), numbers the two texts of each row. Without common texts the result is that of `cut_by_tokens`.
    """
    batches = cut_by_tokens(rows, lengths, budget, most)
    own = texts[:, rows]
    _, inverse, counts = np.unique(own, return_inverse=True, return_counts=True)
    inverse = inverse.reshape(own.shape)
    np.subtract.at(counts, inverse[0][own[0] == own[1]], 1)  # count a pair of equal texts once
    occurrences = counts[inverse]
    repeated = occurrences.max(0) > 1
    if len(batches) == 1 or not repeated.any():
        return batches
    common, other = np.where(occurrences[0] >= occurrences[1], own, own[::-1])  # the more frequent text of each row first
    order = np.lexsort((np.arange(len(rows)), other, common))  # rows with the same text are adjacent
    count, spread = 0, batches
    while len(spread) > count:  # repeat with more batches: the overflow would consist of rows with the same text
        count = len(spread)
        spread = _distribute(rows[order[repeated[order]]], rows[~repeated], lengths, budget, count, most or len(rows))
    return spread


def _distribute(repeated: Rows, others: Rows, lengths: NDArray[np.int64], budget: int, count: int, most: int) -> list[Rows]:
    """Distributes `repeated` rows round-robin over `count` batches, or more if they exceed a limit, then adds `others`."""
    batches: list[list[int]] = [[] for _ in range(count)]
    used = [0] * count

    def add(row: int, length: int, batch: int) -> None:
        if batch == len(batches):
            batches.append([])
            used.append(0)
        batches[batch].append(row)
        used[batch] += length

    def fits(batch: int, length: int) -> bool:
        return not batches[batch] or (used[batch] + length <= budget and len(batches[batch]) < most)

    turn = 0
    for row, length in zip(repeated.tolist(), lengths[repeated].tolist(), strict=True):
        candidates = (index % len(batches) for index in range(turn, turn + len(batches)))
        batch = next((index for index in candidates if fits(index, length)), len(batches))
        add(row, length, batch)
        turn = batch + 1
    level = (sum(used) + int(lengths[others].sum())) / len(batches)
    batch = 0
    for row, length in zip(others.tolist(), lengths[others].tolist(), strict=True):
        while batch < len(batches) and (used[batch] >= level or not fits(batch, length)):
            batch += 1
        add(row, length, batch)
    return [np.array(batch, np.int64) for batch in batches if batch]


def sorted_batches(lengths: NDArray[np.int64], budget: int) -> list[Rows]:
    """Batches of all rows, shortest first, for evaluation."""
    return cut_by_tokens(np.argsort(lengths, kind="stable"), lengths, budget)


@dataclass(frozen=True)
class BatchSampler:
    """The batches of a data set for each epoch.

    Rows are shuffled, sorted by length within windows of WINDOW batches and cut by the token budget; then the batches are
    shuffled. `epoch(k)` depends only on seed, name and k, so that training can resume at any point.
    With `classes`, the class of each row, an epoch has the same number of rows, but equally many of each class (`balanced`).
    With `texts`, (2, N), the numbers of the texts of pairs, pairs that share a text are spread over the batches. A batch has at
    most `most` rows (0: no limit).
    """

    lengths: NDArray[np.int64]
    budget: int
    seed: int
    name: str
    classes: NDArray[np.int64] | None = None
    texts: NDArray[np.int64] | None = None
    most: int = 0

    def epoch(self, epoch: int) -> list[Rows]:
        random = generator(self.seed, self.name, epoch)
        order = random.permutation(len(self.lengths))
        if self.classes is not None:
            order = balanced(self.classes, epoch, self.seed, self.name)[order]
        per_batch = max(1, int(self.budget / max(1.0, float(self.lengths.mean()))))
        window = WINDOW * min(per_batch, self.most or per_batch)
        batches: list[Rows] = []
        for start in range(0, len(order), window):
            part = order[start : start + window]
            part = part[np.argsort(self.lengths[part], kind="stable")]
            if self.texts is None:
                batches += cut_by_tokens(part, self.lengths, self.budget, self.most)
            else:
                batches += spread_batches(part, self.lengths, self.budget, self.texts, self.most)
        return [batches[index] for index in random.permutation(len(batches))]


def balanced(classes: NDArray[np.int64], epoch: int, seed: int, name: str) -> Rows:
    """Resamples N rows so that classes are equally frequent: (N,), grouped by class.

    Each class is an endless sequence of shuffled passes over its rows, and every epoch takes the next part of it: a small class
    is repeated, a large one is spread over several epochs, and the counts of two rows of a class differ by at most one. The
    remainder of N / C rows goes to the classes in turn. A pure function of its arguments.
    """
    present, sizes = np.unique(classes, return_counts=True)
    sampled = []
    for index, (label, size) in enumerate(zip(present.tolist(), sizes.tolist(), strict=True)):
        # positions 0, 1, 2, ... of all epochs are assigned to the classes in turn
        begin, end = ((done * len(classes) + len(present) - 1 - index) // len(present) for done in (epoch, epoch + 1))
        sampled.append(np.flatnonzero(classes == label)[shuffled_passes(size, begin, end, seed, name, "class", label)])
    return np.concatenate(sampled)


def shuffled_passes(size: int, begin: int, end: int, seed: int, *key: int | str) -> Rows:
    """Positions `begin` to `end` of an endless sequence of shuffled passes over `size` rows. Complete passes in the middle stay
    unshuffled, as the order within an epoch does not matter."""
    first, last = begin // size, end // size
    opening, closing = (generator(seed, *key, number).permutation(size) for number in (first, last))
    if first == last:
        return opening[begin - first * size : end - first * size]
    whole = np.tile(np.arange(size), last - first - 1)
    return np.concatenate([opening[begin - first * size :], whole, closing[: end - last * size]])
