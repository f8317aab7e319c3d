"""Forms batches with several texts of several labels, as a pure function of seed and epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from mtlkit.data.batching import Rows
from mtlkit.seeding import generator


@dataclass(frozen=True)
class LabelSampler:
    """The batches of a data set for each epoch, for objectives that compare the texts of a batch by their labels.

    A batch has up to `size` different texts, at least two of each of its labels if there are so many. Labels take turns, so all
    are drawn equally often. An epoch has as many texts as there are rows, but its batches compare at most `max_pairs` pairs of
    texts (0: no limit). `groups` are the rows of each label, which are taken in random order until all have been used; a row
    may have several labels.
    """

    lengths: NDArray[np.int64]
    size: int
    seed: int
    name: str
    groups: Sequence[Rows]
    max_pairs: int = 0

    @property
    def count(self) -> int:
        """Batches of an epoch."""
        batches = ceil(len(self.lengths) / self.size)
        pairs = self.size * (self.size - 1) // 2
        return min(batches, max(1, self.max_pairs // pairs)) if self.max_pairs else batches

    def epoch(self, epoch: int) -> list[Rows]:
        random = generator(self.seed, self.name, "labels", epoch)
        labels = _Turns(np.arange(len(self.groups)), random)
        turns = [_Turns(group, random) for group in self.groups]
        return [self._batch(labels, turns, random) for _ in range(self.count)]

    def _batch(self, labels: _Turns, turns: Sequence[_Turns], random: np.random.Generator) -> Rows:
        chosen = labels.take(min(len(self.groups), max(1, self.size // 2)))
        counts = [self.size // len(chosen) + (index < self.size % len(chosen)) for index in range(len(chosen))]
        rows = [turns[label].take(count) for label, count in zip(chosen.tolist(), counts, strict=True)]
        return random.permutation(np.unique(np.concatenate(rows)))  # a row with two labels may be drawn twice


class _Turns:
    """An endless sequence of shuffled passes over `values`."""

    def __init__(self, values: Rows, random: np.random.Generator) -> None:
        self.values, self.random = values, random
        self.left = random.permutation(values)

    def take(self, count: int) -> Rows:
        """The next values, all different: at most as many as there are."""
        count = min(count, len(self.values))
        if len(self.left) < count:
            rest = np.setdiff1d(self.values, self.left)
            self.left = np.concatenate([self.left, self.random.permutation(rest), self.random.permutation(self.values)])
            # the last values of a pass are followed by those that are not among them, so that none is taken twice at once
        taken, self.left = self.left[:count], self.left[count:]
        return taken
