"""Which rows form a batch, and in which order: pure functions of (seed, epoch)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtlkit.seeding import generator

Rows = NDArray[np.int64]

WINDOW = 50  # batches sorted together: enough that neighbours are of like length, few enough to stay random


def cut_by_tokens(rows: Rows, lengths: NDArray[np.int64], budget: int) -> list[Rows]:
    """Cuts rows, in their order, into batches of at most `budget` tokens (one row at least)."""
    batches: list[Rows] = []
    start = used = 0
    for place, length in enumerate(lengths[rows].tolist()):
        if used + length > budget and place > start:
            batches.append(rows[start:place])
            start, used = place, 0
        used += length
    if start < len(rows):
        batches.append(rows[start:])
    return batches


def spread_batches(rows: Rows, lengths: NDArray[np.int64], budget: int, texts: NDArray[np.int64]) -> list[Rows]:
    """`cut_by_tokens` for pairs of texts, but pairs with a text in common are spread evenly over the batches, since they are no
    negatives of each other. `texts`, (2, all rows), numbers the two texts of each row. Without a common text, nothing differs.
    """
    batches = cut_by_tokens(rows, lengths, budget)
    own = texts[:, rows]
    _, places, counts = np.unique(own, return_inverse=True, return_counts=True)
    places = places.reshape(own.shape)
    np.subtract.at(counts, places[0][own[0] == own[1]], 1)  # a pair of a text and itself is one pair
    times = counts[places]
    repeated = times.max(0) > 1
    if len(batches) == 1 or not repeated.any():
        return batches
    common, other = np.where(times[0] >= times[1], own, own[::-1])  # of each row, the text that more rows have
    together = np.lexsort((np.arange(len(rows)), other, common))  # rows with the same text follow each other
    count, dealt = 0, batches
    while len(dealt) > count:  # what did not fit would be a batch of rows with the same text
        count = len(dealt)
        dealt = _dealt(rows[together[repeated[together]]], rows[~repeated], lengths, budget, count)
    return dealt


def _dealt(repeated: Rows, others: Rows, lengths: NDArray[np.int64], budget: int, count: int) -> list[Rows]:
    """`repeated` rows in turn to `count` batches, or more if the budget needs them; `others`, in their order, fill them up."""
    batches: list[list[int]] = [[] for _ in range(count)]
    used = [0] * count

    def put(row: int, length: int, batch: int) -> None:
        if batch == len(batches):
            batches.append([])
            used.append(0)
        batches[batch].append(row)
        used[batch] += length

    def fits(batch: int, length: int) -> bool:
        return not batches[batch] or used[batch] + length <= budget

    turn = 0
    for row, length in zip(repeated.tolist(), lengths[repeated].tolist(), strict=True):
        every = (batch % len(batches) for batch in range(turn, turn + len(batches)))
        batch = next((one for one in every if fits(one, length)), len(batches))
        put(row, length, batch)
        turn = batch + 1
    level = (sum(used) + int(lengths[others].sum())) / len(batches)
    batch = 0
    for row, length in zip(others.tolist(), lengths[others].tolist(), strict=True):
        while batch < len(batches) and (used[batch] >= level or not fits(batch, length)):
            batch += 1
        put(row, length, batch)
    return [np.array(batch, np.int64) for batch in batches if batch]


def sorted_batches(lengths: NDArray[np.int64], budget: int) -> list[Rows]:
    """All rows once, shortest first: the order for evaluation."""
    return cut_by_tokens(np.argsort(lengths, kind="stable"), lengths, budget)


@dataclass(frozen=True)
class BatchSampler:
    """The batches of a data set, epoch after epoch.

    Rows are shuffled, sorted by length within windows of WINDOW batches, cut by the token budget, and the batches
    shuffled again. `epoch(k)` depends on seed, name and k alone, so any point of a training can be found again.
    With `classes`, the class of each row, an epoch has as many rows as ever, but equally many of each class (`balanced`).
    With `texts`, (2, N), those of pairs by number, pairs that share a text are spread over the batches.
    """

    lengths: NDArray[np.int64]
    budget: int
    seed: int
    name: str
    classes: NDArray[np.int64] | None = None
    texts: NDArray[np.int64] | None = None

    def epoch(self, epoch: int) -> list[Rows]:
        random = generator(self.seed, self.name, epoch)
        order = random.permutation(len(self.lengths))
        if self.classes is not None:
            order = balanced(self.classes, epoch, self.seed, self.name)[order]
        per_batch = max(1, int(self.budget / max(1.0, float(self.lengths.mean()))))
        window = WINDOW * per_batch
        batches: list[Rows] = []
        for start in range(0, len(order), window):
            part = order[start : start + window]
            part = part[np.argsort(self.lengths[part], kind="stable")]
            if self.texts is None:
                batches += cut_by_tokens(part, self.lengths, self.budget)
            else:
                batches += spread_batches(part, self.lengths, self.budget, self.texts)
        return [batches[place] for place in random.permutation(len(batches))]


def balanced(classes: NDArray[np.int64], epoch: int, seed: int, name: str) -> Rows:
    """As many rows as there are, drawn so that classes are equally frequent: (N,), class after class.

    Each class is an endless run of shuffled passes over its rows, of which every epoch takes the next part: a small class repeats
    itself, a large one is spread over several epochs, and no row is seen twice more than another of its class. What is left of
    N / C goes to the classes in turn. A pure function of its arguments.
    """
    present, sizes = np.unique(classes, return_counts=True)
    taken = []
    for place, (label, size) in enumerate(zip(present.tolist(), sizes.tolist(), strict=True)):
        # the seats of the training, 0, 1, 2, ..., go to the classes in turn
        begin, end = ((done * len(classes) + len(present) - 1 - place) // len(present) for done in (epoch, epoch + 1))
        taken.append(np.flatnonzero(classes == label)[_passes(size, begin, end, seed, name, label)])
    return np.concatenate(taken)


def _passes(size: int, begin: int, end: int, seed: int, name: str, label: int) -> Rows:
    """Places `begin` to `end` of an endless run of shuffled passes over `size` rows; whole passes in between, whose order means
    nothing to an epoch, are left unshuffled."""
    first, last = begin // size, end // size
    opening, closing = (generator(seed, name, "class", label, one).permutation(size) for one in (first, last))
    if first == last:
        return opening[begin - first * size : end - first * size]
    whole = np.tile(np.arange(size), last - first - 1)
    return np.concatenate([opening[begin - first * size :], whole, closing[: end - last * size]])


@dataclass(frozen=True)
class WindowSampler:
    """A packed stream of tokens, cut into windows of `length` with the token after each: no padding at all."""

    ids: NDArray[np.unsignedinteger]
    length: int

    def __len__(self) -> int:
        return (len(self.ids) - 1) // self.length

    def take(self, windows: Rows, shift: int = 0) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Ids and targets, each (windows * length,). `shift` moves all windows, so that epochs differ in their cuts."""
        starts = windows * self.length + shift
        places = (starts[:, None] + np.arange(self.length)).ravel()
        return self.ids[places].astype(np.int64), self.ids[places + 1].astype(np.int64)

    def epoch(self, epoch: int, seed: int, per_batch: int) -> tuple[list[Rows], int]:
        """Batches of windows for one pass, and the shift that goes with them."""
        random = generator(seed, "windows", epoch)
        shift = int(random.integers(self.length)) if len(self) > 1 else 0
        count = (len(self.ids) - 1 - shift) // self.length
        order = random.permutation(count)
        return [order[start : start + per_batch] for start in range(0, count, per_batch)], shift
