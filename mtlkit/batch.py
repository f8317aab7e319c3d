"""The batch that data passes to the model; in a module of its own, so that neither imports the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # imported where batches are created, so that tokenization works without torch
    import torch
    from torch import Tensor

TEXT, WINDOW, CUT = 1, 2, 4  # marks of words in their labels (`data/labels/word_labels.py`)
MULTIPLE = 64  # tokens that the size of a batch is rounded up to on a CPU


@dataclass(frozen=True)
class Batch:
    """N texts as one flat sequence of T tokens, without padding.

    ids        (T,)  token ids of all texts, concatenated
    positions  (T,)  position of each token in its text
    groups           (texts, length) of each run of consecutive texts of equal length; attention is computed per group
    rows       (N,)  index of each text in its data set
    skip             number of tokens at the start of every text that pooling excludes
    words      (W,)  for heads that read words: the place of each word among the tokens; None if no head does
    word_rows  (W,)  index of each word in its data set
    pooled           whether heads read the texts, too; always without words
    types      (T,)  type of each token, 0 or 1, uint8; None if all are 0: only pairs of texts in one sequence have both
    """

    ids: Tensor
    positions: Tensor
    groups: tuple[tuple[int, int], ...]
    rows: NDArray[np.int64]
    skip: int = 0
    words: Tensor | None = None
    word_rows: NDArray[np.int64] | None = None
    pooled: bool = True
    types: Tensor | None = None

    @classmethod
    def flat(
        cls,
        ids: NDArray[np.integer],
        lengths: Sequence[int],
        rows: NDArray[np.int64],
        skip: int = 0,
        types: NDArray[np.uint8] | None = None,
    ) -> Batch:
        """A batch from T concatenated ids, the lengths of the N texts, and the types of the tokens."""
        import torch

        groups = tuple((len(list(run)), int(length)) for length, run in groupby(lengths))
        positions = np.concatenate([np.tile(np.arange(length), texts) for texts, length in groups])
        own = None if types is None else torch.from_numpy(types)
        return cls(torch.from_numpy(ids.astype(np.int64)), torch.from_numpy(positions), groups, rows, skip, types=own)

    @classmethod
    def join(cls, batches: Sequence[Batch]) -> Batch:
        """Concatenates batches; `word_rows` are not kept. Raises ValueError if their `skip` differs."""
        if len(batches) == 1:
            return batches[0]
        if len({batch.skip for batch in batches}) > 1:
            raise ValueError("cannot join batches that skip different numbers of tokens")
        import torch

        starts = np.cumsum([0, *(batch.tokens for batch in batches)])
        words = [batch.words + int(start) for batch, start in zip(batches, starts, strict=False) if batch.words is not None]
        return cls(
            torch.cat([batch.ids for batch in batches]),
            torch.cat([batch.positions for batch in batches]),
            tuple(group for batch in batches for group in batch.groups),
            np.concatenate([batch.rows for batch in batches]),
            batches[0].skip,
            torch.cat(words) if words else None,
            pooled=any(batch.pooled for batch in batches),
            types=_joined_types(batches),
        )

    @staticmethod
    def split(vectors: Tensor, batches: Sequence[Batch], widths: tuple[int, int] | None = None) -> list[Tensor]:
        """The vectors of each of some batches, of its words if heads read these, from those of the joined batch. `widths`: of the
        vectors of texts and of words, if they differ."""
        import torch

        pooled, of_words = any(batch.pooled for batch in batches), any(batch.words is not None for batch in batches)
        texts = [len(batch) if pooled else 0 for batch in batches]
        words = [0 if batch.words is None else len(batch.words) for batch in batches] if of_words else []
        parts = torch.split(vectors, [*texts, *words])
        if widths is not None and widths[0] != widths[1]:
            parts = tuple(part[:, : widths[place >= len(batches)]] for place, part in enumerate(parts))
        return [parts[index if batch.words is None else len(batches) + index] for index, batch in enumerate(batches)]

    def rounded(self) -> Batch:
        """The batch with a dummy text added, up to a multiple of MULTIPLE tokens: oneDNN caches kernels by the number of tokens,
        so arbitrary sizes would use ever more memory."""
        idle = -self.tokens % MULTIPLE
        if not idle:
            return self
        import torch

        zeros = self.ids.new_zeros(idle)
        groups, rows = (*self.groups, (1, idle)), np.append(self.rows, -1)
        ids, positions = torch.cat([self.ids, zeros]), torch.cat([self.positions, zeros])
        types = None if self.types is None else torch.cat([self.types, self.types.new_zeros(idle)])
        return replace(self, ids=ids, positions=positions, groups=groups, rows=rows, types=types)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def tokens(self) -> int:
        return len(self.ids)

    @property
    def vector_rows(self) -> NDArray[np.int64]:
        """The index in its data set of what each vector is of: of a text, or of a word if heads read words only."""
        return self.rows if self.word_rows is None or self.pooled else self.word_rows

    @property
    def sizes(self) -> list[int]:
        """Tokens of each group."""
        return [texts * length for texts, length in self.groups]

    def to(self, device: torch.device) -> Batch:
        if device.type == "cpu":
            return self
        move = {"device": device, "non_blocking": True}
        ids, positions = (tensor.to(**move) for tensor in (self.ids, self.positions))  # type: ignore[call-overload]
        words = None if self.words is None else self.words.to(**move)  # type: ignore[call-overload]
        types = None if self.types is None else self.types.to(**move)  # type: ignore[call-overload]
        return replace(self, ids=ids, positions=positions, words=words, types=types)


def _joined_types(batches: Sequence[Batch]) -> Tensor | None:
    if all(batch.types is None for batch in batches):
        return None
    import torch

    return torch.cat(
        [torch.zeros_like(batch.ids, dtype=torch.uint8) if batch.types is None else batch.types for batch in batches]
    )
