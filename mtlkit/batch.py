"""The batch that data passes to the model; in a module of its own, so that neither imports the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # imported where batches are created, so that tokenization works without torch
    import torch
    from torch import Tensor

MULTIPLE = 64  # tokens that the size of a batch is rounded up to on a CPU


@dataclass(frozen=True)
class Batch:
    """N texts as one flat sequence of T tokens, without padding.

    ids        (T,)  token ids of all texts, concatenated
    positions  (T,)  position of each token in its text
    groups           (texts, length) of each run of consecutive texts of equal length; attention is computed per group
    rows       (N,)  index of each text in its data set
    skip             number of tokens at the start of every text that pooling excludes
    """

    ids: Tensor
    positions: Tensor
    groups: tuple[tuple[int, int], ...]
    rows: NDArray[np.int64]
    skip: int = 0

    @classmethod
    def flat(cls, ids: NDArray[np.integer], lengths: Sequence[int], rows: NDArray[np.int64], skip: int = 0) -> Batch:
        """A batch from T concatenated ids and the lengths of the N texts."""
        import torch

        groups = tuple((len(list(run)), int(length)) for length, run in groupby(lengths))
        positions = np.concatenate([np.tile(np.arange(length), texts) for texts, length in groups])
        return cls(torch.from_numpy(ids.astype(np.int64)), torch.from_numpy(positions), groups, rows, skip)

    @classmethod
    def join(cls, batches: Sequence[Batch]) -> Batch:
        """Concatenates batches. Raises ValueError if their `skip` differs."""
        if len(batches) == 1:
            return batches[0]
        if len({batch.skip for batch in batches}) > 1:
            raise ValueError("cannot join batches that skip different numbers of tokens")
        import torch

        return cls(
            torch.cat([batch.ids for batch in batches]),
            torch.cat([batch.positions for batch in batches]),
            tuple(group for batch in batches for group in batch.groups),
            np.concatenate([batch.rows for batch in batches]),
            batches[0].skip,
        )

    def rounded(self) -> Batch:
        """The batch with a dummy text added, up to a multiple of MULTIPLE tokens: oneDNN caches kernels by the number of tokens,
        so arbitrary sizes would use ever more memory."""
        idle = -self.tokens % MULTIPLE
        if not idle:
            return self
        import torch

        zeros = self.ids.new_zeros(idle)
        groups, rows = (*self.groups, (1, idle)), np.append(self.rows, -1)
        return Batch(torch.cat([self.ids, zeros]), torch.cat([self.positions, zeros]), groups, rows, self.skip)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def tokens(self) -> int:
        return len(self.ids)

    @property
    def sizes(self) -> list[int]:
        """Tokens of each group."""
        return [texts * length for texts, length in self.groups]

    def to(self, device: torch.device) -> Batch:
        if device.type == "cpu":
            return self
        move = {"device": device, "non_blocking": True}
        ids, positions = (tensor.to(**move) for tensor in (self.ids, self.positions))  # type: ignore[call-overload]
        return Batch(ids, positions, self.groups, self.rows, self.skip)
