"""Windows of a packed stream of tokens, for pretraining: of one stream, or of several in given shares.

`documents.py` packs the same tokens without letting texts see each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mtlkit.data.batching import Rows, shuffled_passes
from mtlkit.data.encoded import ranges
from mtlkit.seeding import generator


@dataclass(frozen=True)
class Pieces:
    """Parts of a stream of tokens that a batch has, each seen on its own: where they start, and their lengths, (N,) each."""

    starts: Rows
    lengths: Rows

    def between(self, first: int, after: int) -> Pieces:
        return Pieces(self.starts[first:after], self.lengths[first:after])


@dataclass(frozen=True)
class SourceShare:
    """What one source gives to an epoch: its share of the tokens, and how often all of it is seen."""

    share: float
    passes: float


class TokenSampler(Protocol):
    """Batches of T tokens `ids` for pretraining, as a pure function of seed and epoch. No piece has more than `length` tokens."""

    @property
    def ids(self) -> NDArray[np.unsignedinteger]: ...

    @property
    def length(self) -> int: ...

    @property
    def counts(self) -> Rows:
        """How many windows each source fills, (S,)."""
        ...

    @property
    def shares_of_epoch(self) -> list[SourceShare]:
        """What each source gives to an epoch."""
        ...

    def batches(self, per_batch: int) -> int:
        """The number of batches of an epoch, of as many tokens as `per_batch` windows."""
        ...

    def epoch(self, epoch: int, seed: int, per_batch: int) -> list[Pieces]:
        """The batches of one epoch."""
        ...

    def take(self, pieces: Pieces) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The tokens of some pieces, and the token after each, (T,) each."""
        ...


def taken(ids: NDArray[np.unsignedinteger], pieces: Pieces) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The tokens of some pieces, and the token after each, (T,) each. The first of all follows the last one."""
    places = ranges(pieces.starts, pieces.lengths)
    return ids[places].astype(np.int64), ids[(places + 1) % len(ids)].astype(np.int64)


@dataclass(frozen=True)
class WindowSampler:
    """A packed stream of tokens, cut into windows of `length` tokens and their targets, without padding."""

    ids: NDArray[np.unsignedinteger]
    length: int

    def __len__(self) -> int:
        return (len(self.ids) - 1) // self.length

    @property
    def counts(self) -> Rows:
        return np.array([len(self)])

    @property
    def shares_of_epoch(self) -> list[SourceShare]:
        return [SourceShare(1.0, 1.0)]

    def batches(self, per_batch: int) -> int:
        return -(-len(self) // per_batch)

    def take(self, pieces: Pieces) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        return taken(self.ids, pieces)

    def epoch(self, epoch: int, seed: int, per_batch: int) -> list[Pieces]:
        """The batches of one epoch. Every epoch cuts the stream at other places."""
        random = generator(seed, "windows", epoch)
        shift = int(random.integers(self.length)) if len(self) > 1 else 0
        order = random.permutation((len(self.ids) - 1 - shift) // self.length)
        return self._cut(order * self.length + shift, per_batch)

    def _cut(self, starts: Rows, per_batch: int) -> list[Pieces]:
        lengths = np.full(len(starts), self.length)
        return [Pieces(starts, lengths).between(first, first + per_batch) for first in range(0, len(starts), per_batch)]


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

    @property
    def shares_of_epoch(self) -> list[SourceShare]:
        quotas, counts = self.quotas.tolist(), self.counts.tolist()
        return [SourceShare(quota / len(self), quota / count) for quota, count in zip(quotas, counts, strict=True)]

    def epoch(self, epoch: int, seed: int, per_batch: int) -> list[Pieces]:
        random = generator(seed, "windows", epoch)
        shift, firsts = int(random.integers(self.length)), np.cumsum(self.counts) - self.counts
        chosen = []
        for stream, (count, quota) in enumerate(zip(self.counts.tolist(), self.quotas.tolist(), strict=True)):
            size = max(1, count - 1)  # shifted windows are one fewer
            part = shuffled_passes(size, epoch * quota, (epoch + 1) * quota, seed, "windows", "stream", stream)
            chosen.append(firsts[stream] + part)
        return self._cut(self._starts(random.permutation(np.concatenate(chosen)), shift), per_batch)

    def _starts(self, windows: Rows, shift: int) -> Rows:
        firsts = np.cumsum(self.counts)
        streams = np.searchsorted(firsts, windows, side="right")
        begins = np.array([0, *self.ends[:-1]])[streams] + (windows - (firsts - self.counts)[streams]) * self.length
        starts: Rows = begins + np.where(self.counts[streams] > 1, shift, 0)
        return starts
