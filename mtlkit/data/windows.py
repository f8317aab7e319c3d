"""Windows of a packed stream of tokens, for pretraining: of one stream, or of several in given shares."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mtlkit.data.batching import Rows, shuffled_passes
from mtlkit.seeding import generator


@dataclass(frozen=True)
class WindowSampler:
    """A packed stream of tokens, cut into windows of `length` tokens and their targets, without padding."""

    ids: NDArray[np.unsignedinteger]
    length: int

    def __len__(self) -> int:
        return (len(self.ids) - 1) // self.length

    def take(self, windows: Rows, shift: int = 0) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Ids and targets, each (windows * length,). `shift` moves all windows, so that epochs are cut differently."""
        return self._at(windows * self.length + shift)

    def _at(self, starts: Rows) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        positions = (starts[:, None] + np.arange(self.length)).ravel()
        return self.ids[positions].astype(np.int64), self.ids[positions + 1].astype(np.int64)

    def epoch(self, epoch: int, seed: int, per_batch: int) -> tuple[list[Rows], int]:
        """Batches of windows for one epoch, and their shift."""
        random = generator(seed, "windows", epoch)
        shift = int(random.integers(self.length)) if len(self) > 1 else 0
        count = (len(self.ids) - 1 - shift) // self.length
        order = random.permutation(count)
        return [order[start : start + per_batch] for start in range(0, count, per_batch)], shift


@dataclass(frozen=True)
class MixedWindows(WindowSampler):
    """Windows of several streams, of which each gives a share of every epoch, whose length is that of all streams together.

    `ids` holds the streams one after another, with `ends`, (S,), and `shares` are relative to their sum. A stream is an endless
    sequence of shuffled passes over its windows, and every epoch takes the next part of it: small streams are repeated, large
    ones are spread over several epochs.
    """

    ends: tuple[int, ...]
    shares: tuple[float, ...]

    @cached_property
    def counts(self) -> Rows:
        """The number of windows of each stream, (S,)."""
        lengths = np.diff([0, *self.ends])
        counts: Rows = np.maximum(0, (lengths - 1) // self.length)
        return counts

    @cached_property
    def quotas(self) -> Rows:
        """The number of windows that each stream gives to an epoch, (S,)."""
        exact = np.array(self.shares) / sum(self.shares) * len(self)
        quotas = np.floor(exact).astype(np.int64)
        quotas[np.argsort(quotas - exact, kind="stable")[: len(self) - quotas.sum()]] += 1
        return quotas

    def __len__(self) -> int:
        return int(self.counts.sum())

    def take(self, windows: Rows, shift: int = 0) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        firsts = np.cumsum(self.counts)
        streams = np.searchsorted(firsts, windows, side="right")
        begins = np.array([0, *self.ends[:-1]])[streams] + (windows - (firsts - self.counts)[streams]) * self.length
        return self._at(begins + np.where(self.counts[streams] > 1, shift, 0))

    def epoch(self, epoch: int, seed: int, per_batch: int) -> tuple[list[Rows], int]:
        random = generator(seed, "windows", epoch)
        shift, firsts = int(random.integers(self.length)), np.cumsum(self.counts) - self.counts
        chosen = []
        for stream, (count, quota) in enumerate(zip(self.counts.tolist(), self.quotas.tolist(), strict=True)):
            size = max(1, count - 1)  # shifted windows are one fewer
            part = shuffled_passes(size, epoch * quota, (epoch + 1) * quota, seed, "windows", "stream", stream)
            chosen.append(firsts[stream] + part)
        order = random.permutation(np.concatenate(chosen))
        return [order[start : start + per_batch] for start in range(0, len(order), per_batch)], shift
