"""Tokenized texts in one flat array."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from mtlkit.batch import Batch


@dataclass(frozen=True)
class Encoded:
    """Tokenized texts: ids (T,) unsigned, and offsets (N + 1,) of the texts in it.

    `truncated` is the number of texts that were cut; `skip` the number of prompt tokens at the start of every text that pooling
    ignores.
    """

    ids: NDArray[np.unsignedinteger]
    offsets: NDArray[np.int64]
    truncated: int = 0
    skip: int = 0

    @classmethod
    def join(cls, first: Encoded, second: Encoded) -> Encoded:
        """The texts of both, with the same prompt."""
        offsets = np.concatenate([first.offsets, first.offsets[-1] + second.offsets[1:]])
        return cls(np.concatenate([first.ids, second.ids]), offsets, first.truncated + second.truncated, first.skip)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def vectors(self) -> int:
        """The number of vectors that an encoder gives for it: one a text."""
        return len(self)

    @property
    def lengths(self) -> NDArray[np.int64]:
        return np.diff(self.offsets)

    def batch(self, rows: Sequence[int] | NDArray[np.int64]) -> Batch:
        """The texts of these rows as one flat batch, shortest first."""
        rows = np.asarray(rows, dtype=np.int64)
        lengths = self.offsets[rows + 1] - self.offsets[rows]
        order = np.argsort(lengths, kind="stable")
        rows, lengths = rows[order], lengths[order]
        return Batch.flat(self.ids[self.places(rows)], lengths.tolist(), rows, self.skip)

    def padded(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Ids padded with zeros and the mask of real tokens, each (N, longest), for other tools."""
        lengths = self.lengths[rows]
        mask = np.arange(lengths.max()) < lengths[:, None]
        ids = np.zeros(mask.shape, np.int64)
        ids[mask] = self.ids[self.places(rows)]
        return ids, mask.astype(np.int64)

    def places(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Indices into `ids` of the tokens of these rows, one row after another."""
        return parts_of(self.offsets, rows)

    def take(self, rows: NDArray[np.int64]) -> Encoded:
        """The texts of these rows, in their order."""
        offsets = np.concatenate([[0], np.cumsum(self.lengths[rows])])
        ids = self.ids[self.places(rows)] if len(rows) else self.ids[:0]
        return Encoded(ids, offsets, skip=self.skip)

    def between(self, start: int, stop: int) -> Encoded:
        """The texts from row `start` up to `stop`."""
        offsets = self.offsets[start : stop + 1]
        return Encoded(self.ids[offsets[0] : offsets[-1]], offsets - offsets[0], skip=self.skip)


@dataclass(frozen=True)
class EncodedWords(Encoded):
    """Tokenized texts of which an encoder gives a vector for each of W words. The rows are windows: each is a part of a text, or
    all of it.

    first  (W,)           place in `ids` of the first token of each word
    words  (windows + 1,) offsets of the words that are read in each window; each word is read in one
    """

    first: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    words: NDArray[np.int64] = field(default_factory=lambda: np.zeros(1, np.int64))

    @property
    def vectors(self) -> int:
        return len(self.first)

    def batch(self, rows: Sequence[int] | NDArray[np.int64], *, pooled: bool = False) -> Batch:
        """The windows of these rows as one flat batch, shortest first. `pooled`: heads read the windows, too."""
        import torch

        batch = super().batch(rows)
        lengths, words = self.lengths[batch.rows], self.words_of(batch.rows)
        moved = np.cumsum(lengths) - lengths - self.offsets[batch.rows]
        places = self.first[words] + np.repeat(moved, np.diff(self.words)[batch.rows])
        return replace(batch, words=torch.from_numpy(places), word_rows=words, pooled=pooled)

    def words_of(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The numbers of the words that are read in these windows, one window after another."""
        return parts_of(self.words, rows)

    def take(self, rows: NDArray[np.int64]) -> EncodedWords:
        """The windows of these rows, in their order."""
        windows, words = super().take(rows), self.words_of(rows)
        counts = np.diff(self.words)[rows]
        first = self.first[words] + np.repeat(windows.offsets[:-1] - self.offsets[rows], counts)
        return EncodedWords(windows.ids, windows.offsets, 0, self.skip, first, np.append(0, np.cumsum(counts)))

    def between(self, start: int, stop: int) -> EncodedWords:
        """The windows from row `start` up to `stop`."""
        return self.take(np.arange(start, stop))


def parts_of(offsets: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """The indices between `offsets` of these rows, (N,), one row after another."""
    return ranges(offsets[rows], offsets[rows + 1] - offsets[rows])


def ranges(starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """The numbers from each start on, as many as its length, one range after another."""
    ends = np.cumsum(lengths)
    numbers: NDArray[np.int64] = np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - ends + lengths, lengths)
    return numbers
