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
    ignores. For pairs of texts in one sequence, `types`, (T,), are 1 for tokens of the second texts and 0 for the others; None if
    all are 0.
    """

    ids: NDArray[np.unsignedinteger]
    offsets: NDArray[np.int64]
    truncated: int = 0
    skip: int = 0
    types: NDArray[np.uint8] | None = field(default=None, kw_only=True)

    def joined(self, other: Encoded) -> Encoded:
        """The texts of both, which have the same prompt."""
        return concatenated([self, other])

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def vectors(self) -> int:
        """The number of vectors that an encoder gives for it: one a text."""
        return len(self)

    def vectors_of(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The numbers of the vectors of these texts, one text after another."""
        return rows

    @property
    def lengths(self) -> NDArray[np.int64]:
        return np.diff(self.offsets)

    def batch(self, rows: Sequence[int] | NDArray[np.int64]) -> Batch:
        """The texts of these rows as one flat batch, shortest first."""
        rows = np.asarray(rows, dtype=np.int64)
        lengths = self.offsets[rows + 1] - self.offsets[rows]
        order = np.argsort(lengths, kind="stable")
        rows, lengths = rows[order], lengths[order]
        places = self.places(rows)
        types = None if self.types is None else self.types[places]
        return Batch.flat(self.ids[places], lengths.tolist(), rows, self.skip, types)

    def padded(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Ids padded with zeros and the mask of real tokens, each (N, longest), for other tools."""
        lengths = self.lengths[rows]
        mask = np.arange(lengths.max()) < lengths[:, None]
        ids = np.zeros(mask.shape, np.int64)
        ids[mask] = self.ids[self.places(rows)]
        return ids, mask.astype(np.int64)

    def padded_types(self, rows: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.int64]:
        """The token types for `padded`, (N, longest)."""
        types = np.zeros(mask.shape, np.int64)
        if self.types is not None:
            types[mask > 0] = self.types[self.places(rows)]
        return types

    def places(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Indices into `ids` of the tokens of these rows, one row after another."""
        return parts_of(self.offsets, rows)

    def take(self, rows: NDArray[np.int64]) -> Encoded:
        """The texts of these rows, in their order."""
        offsets = np.concatenate([[0], np.cumsum(self.lengths[rows])])
        places = self.places(rows) if len(rows) else np.arange(0)
        types = None if self.types is None else self.types[places]
        return Encoded(self.ids[places], offsets, skip=self.skip, types=types)

    def between(self, start: int, stop: int) -> Encoded:
        """The texts from row `start` up to `stop`."""
        offsets = self.offsets[start : stop + 1]
        tokens = slice(offsets[0], offsets[-1])
        types = None if self.types is None else self.types[tokens]
        return Encoded(self.ids[tokens], offsets - offsets[0], skip=self.skip, types=types)


@dataclass(frozen=True)
class EncodedWords(Encoded):
    """Tokenized texts of which an encoder gives a vector for each of W words. The rows are windows: each is a part of a text, or
    all of it.

    first  (W,)           place in `ids` of the first token of each word
    words  (windows + 1,) offsets of the words that are read in each window; each word is read in one
    texts  (N,)           the window whose vector stands for each text, for heads that read texts, too; None if there are none
    begins (W,)           whether each word is the first of its text; None for some words only
    unread                number of words without a token of their own, which are read at the token before them; 0 in parts
    """

    first: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    words: NDArray[np.int64] = field(default_factory=lambda: np.zeros(1, np.int64))
    texts: NDArray[np.int64] | None = None
    begins: NDArray[np.bool_] | None = None
    unread: int = 0

    @property
    def vectors(self) -> int:
        return len(self.first)

    def batch(self, rows: Sequence[int] | NDArray[np.int64]) -> Batch:
        """The windows of these rows as one flat batch, shortest first, of which heads read the words."""
        import torch

        batch = super().batch(rows)
        lengths, words = self.lengths[batch.rows], self.vectors_of(batch.rows)
        moved = np.cumsum(lengths) - lengths - self.offsets[batch.rows]
        places = self.first[words] + np.repeat(moved, np.diff(self.words)[batch.rows])
        return replace(batch, words=torch.from_numpy(places), word_rows=words, pooled=False)

    def vectors_of(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The numbers of the words that are read in these windows, one window after another."""
        return parts_of(self.words, rows)

    def words_in(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """The words that are read in these windows: their numbers, the index of their window in `rows`, and their place in it."""
        words, counts = self.vectors_of(rows), np.diff(self.words)[rows]
        return words, np.repeat(np.arange(len(rows)), counts), self.first[words] - np.repeat(self.offsets[rows], counts)

    def joined(self, other: Encoded) -> EncodedWords:
        """The windows of both, which have the same prompt. Raises ValueError if the other one has no words."""
        if not isinstance(other, EncodedWords):
            raise ValueError("cannot join words with texts")
        both = super().joined(other)
        first = np.concatenate([self.first, self.offsets[-1] + other.first])
        words = np.concatenate([self.words, self.words[-1] + other.words[1:]])
        return EncodedWords(both.ids, both.offsets, both.truncated, self.skip, first, words)

    def take(self, rows: NDArray[np.int64]) -> EncodedWords:
        """The windows of these rows, in their order."""
        windows, words = super().take(rows), self.vectors_of(rows)
        counts = np.diff(self.words)[rows]
        first = self.first[words] + np.repeat(windows.offsets[:-1] - self.offsets[rows], counts)
        return EncodedWords(windows.ids, windows.offsets, 0, self.skip, first, np.append(0, np.cumsum(counts)))

    def between(self, start: int, stop: int) -> EncodedWords:
        """The windows from row `start` up to `stop`."""
        return self.take(np.arange(start, stop))


def concatenated(parts: Sequence[Encoded]) -> Encoded:
    """The texts of all parts, which have the same prompt; of `EncodedWords`, without the words."""
    if len(parts) == 1:
        return parts[0]
    starts = np.cumsum([0, *(len(part.ids) for part in parts)])
    offsets = np.concatenate([[0], *(start + part.offsets[1:] for start, part in zip(starts, parts, strict=False))])
    ids, truncated = np.concatenate([part.ids for part in parts]), sum(part.truncated for part in parts)
    types = [np.zeros(len(part.ids), np.uint8) if part.types is None else part.types for part in parts]
    typed = any(part.types is not None for part in parts)
    return Encoded(ids, offsets, truncated, parts[0].skip, types=np.concatenate(types) if typed else None)


def first_of_texts(words: Sequence[NDArray[np.int64]]) -> NDArray[np.bool_]:
    """Whether each word is the first of its text, (W,), from where the words of each text are, (n, 2)."""
    return firsts(np.cumsum([0, *map(len, words)]))


def firsts(offsets: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether each item is the first between two `offsets`, (N + 1,), the last of which is the number of items."""
    begins = np.zeros(offsets[-1], bool)
    begins[offsets[:-1][np.diff(offsets) > 0]] = True
    return begins


def parts_of(offsets: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """The indices between `offsets` of these rows, (N,), one row after another."""
    return ranges(offsets[rows], offsets[rows + 1] - offsets[rows])


def ranges(starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """The numbers from each start on, as many as its length, one range after another."""
    ends = np.cumsum(lengths)
    numbers: NDArray[np.int64] = np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - ends + lengths, lengths)
    return numbers
