"""Texts packed into batches for pretraining without seeing each other: pieces of texts, each in a sequence of its own.

A batch always has the same number of tokens. A text is cut where it is longer than the context, and where a batch is full: one
in each batch, whose rest begins the next one. Nothing is padded, and no token is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mtlkit.data.batching import Rows
from mtlkit.data.windows import Pieces, SourceShare, taken
from mtlkit.seeding import generator


@dataclass(frozen=True)
class DocumentSampler:
    """Texts of T tokens `ids` that start at `offsets`, (D + 1,), in pieces of at most `length` tokens.

    `ends` are those of the texts of each source, and `shares`, relative to their sum, what each gives to an epoch, whose length
    is that of all texts together; none for as much as each has. The texts of a source are an endless sequence of shuffled passes,
    and every epoch takes the next part of it: small sources are repeated, large ones are spread over several epochs.
    """

    ids: NDArray[np.unsignedinteger]
    length: int
    offsets: Rows
    ends: tuple[int, ...]
    shares: tuple[float, ...] = ()

    @cached_property
    def sizes(self) -> Rows:
        """The number of tokens of each text, (D,)."""
        return np.diff(self.offsets)

    @cached_property
    def totals(self) -> Rows:
        """The number of tokens of each source, (S,)."""
        ends = np.cumsum(np.append(0, self.sizes))[[0, *self.ends]]
        return np.diff(ends)

    @property
    def counts(self) -> Rows:
        return self.totals // self.length

    def __len__(self) -> int:
        return int(self.totals.sum()) // self.length

    def batches(self, per_batch: int) -> int:
        return -(-int(self.totals.sum()) // (per_batch * self.length))

    @cached_property
    def quotas(self) -> Rows:
        """The number of tokens that each source gives to an epoch, (S,)."""
        if not self.shares:
            return self.totals
        total = int(self.totals.sum())
        ends = np.round(np.cumsum(self.shares) / sum(self.shares) * total).astype(np.int64)
        return np.diff(ends, prepend=0)

    @property
    def shares_of_epoch(self) -> list[SourceShare]:
        quotas, totals, total = self.quotas.tolist(), self.totals.tolist(), int(self.totals.sum())
        return [SourceShare(quota / total, quota / own) for quota, own in zip(quotas, totals, strict=True)]

    def take(self, pieces: Pieces) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        return taken(self.ids, pieces)

    def epoch(self, epoch: int, seed: int, per_batch: int) -> list[Pieces]:
        """The batches of one epoch, each with its shortest pieces first: equal lengths together are computed together."""
        random = generator(seed, "documents", epoch)
        spans = [span for source in range(len(self.ends)) for span in self._spans(source, epoch, seed)]
        pieces = cut_to(_joined(spans), self.length, random)
        order = random.permutation(len(pieces.starts))
        shuffled = Pieces(pieces.starts[order], pieces.lengths[order])
        return [_sorted(batch) for batch in batches_of(shuffled, per_batch * self.length)]

    def _spans(self, source: int, epoch: int, seed: int) -> Iterator[Pieces]:
        """What a source gives to an epoch: texts, of which the first and the last may be in part."""
        quota, total = int(self.quotas[source]), int(self.totals[source])
        first = self.ends[source - 1] if source else 0
        begin, end = epoch * quota, (epoch + 1) * quota
        for number in range(begin // total, -(-end // total)) if total else ():
            texts = first + generator(seed, "documents", "source", source, number).permutation(self.ends[source] - first)
            stops = np.cumsum(self.sizes[texts])
            starts = stops - self.sizes[texts]
            low, high = np.maximum(starts, begin - number * total), np.minimum(stops, end - number * total)
            inside = low < high
            yield Pieces((self.offsets[texts] + low - starts)[inside], (high - low)[inside])


def cut_to(spans: Pieces, length: int, random: np.random.Generator) -> Pieces:
    """The spans in pieces of at most `length` tokens, as few as possible: all but one of each span have that length, and a random
    one is shorter, so that every epoch cuts long texts at other places."""
    counts = -(-spans.lengths // length)
    first = np.cumsum(counts) - counts
    lengths = np.full(int(counts.sum()), length)
    lengths[first + random.integers(counts)] -= counts * length - spans.lengths
    begins = np.cumsum(lengths) - lengths  # as if all spans followed each other
    starts = begins + np.repeat(spans.starts - (np.cumsum(spans.lengths) - spans.lengths), counts)
    return Pieces(starts, lengths)


def batches_of(pieces: Pieces, size: int) -> Iterator[Pieces]:
    """The pieces, in order, in batches of `size` tokens, the last one of fewer. A piece that does not fit into its batch is
    split."""
    stops = np.cumsum(pieces.lengths)
    borders = np.arange(size, int(stops[-1]) if len(stops) else 0, size)
    split = np.searchsorted(stops, borders, side="left")  # the piece that each border ends or splits
    borders, split = borders[stops[split] > borders], split[stops[split] > borders]
    left = borders - (stops - pieces.lengths)[split]  # of each split piece, in the batch before
    starts = np.insert(pieces.starts, split + 1, pieces.starts[split] + left)
    lengths = np.insert(pieces.lengths, split + 1, pieces.lengths[split] - left)
    lengths[split + np.arange(len(split))] = left
    ends = np.searchsorted(np.cumsum(lengths), np.arange(size, int(lengths.sum()) + size, size), side="right")
    whole = Pieces(starts, lengths)
    for first, after in zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True):
        yield whole.between(first, after)


def _joined(spans: list[Pieces]) -> Pieces:
    return Pieces(np.concatenate([span.starts for span in spans]), np.concatenate([span.lengths for span in spans]))


def _sorted(pieces: Pieces) -> Pieces:
    order = np.argsort(pieces.lengths, kind="stable")
    return Pieces(pieces.starts[order], pieces.lengths[order])
