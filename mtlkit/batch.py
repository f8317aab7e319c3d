"""The batch: what data hands to the model. It stands below both, so that they need not know each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # torch is imported where a batch is made, so that texts become tokens without it
    import torch
    from torch import Tensor

MULTIPLE = 64  # tokens that a batch is rounded up to on a CPU: a hundredth of a full one


@dataclass(frozen=True)
class Batch:
    """Texts as one flat run of tokens: nothing is padded, so nothing is computed on padding.

    ids        (T,)  token ids of all texts, one text after another
    positions  (T,)  place of each token in its own text
    groups           (texts, length) of each run of neighbours of equal length; attention works a group at a time
    rows       (N,)  which row of its data set each text is
    skip             first tokens of every text that pooling leaves out
    """

    ids: Tensor
    positions: Tensor
    groups: tuple[tuple[int, int], ...]
    rows: NDArray[np.int64]
    skip: int = 0

    @classmethod
    def flat(cls, ids: NDArray[np.integer], lengths: Sequence[int], rows: NDArray[np.int64], skip: int = 0) -> Batch:
        """A batch from T ids and the N lengths that part them."""
        import torch

        groups = tuple((len(list(run)), int(length)) for length, run in groupby(lengths))
        positions = np.concatenate([np.tile(np.arange(length), texts) for texts, length in groups])
        return cls(torch.from_numpy(ids.astype(np.int64)), torch.from_numpy(positions), groups, rows, skip)

    @classmethod
    def join(cls, batches: Sequence[Batch]) -> Batch:
        """One batch that holds the texts of several, in their order. Raises ValueError where their `skip` differs."""
        if len(batches) == 1:
            return batches[0]
        if len({batch.skip for batch in batches}) > 1:
            raise ValueError("batches that leave out different numbers of tokens cannot be joined")
        import torch

        return cls(
            torch.cat([batch.ids for batch in batches]),
            torch.cat([batch.positions for batch in batches]),
            tuple(group for batch in batches for group in batch.groups),
            np.concatenate([batch.rows for batch in batches]),
            batches[0].skip,
        )

    def rounded(self) -> Batch:
        """The batch with one more text, of idle tokens, up to a multiple of MULTIPLE: a CPU's library builds and keeps kernels
        for each number of tokens that it meets, which would cost memory without end."""
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
        ids, positions = (each.to(**move) for each in (self.ids, self.positions))  # type: ignore[call-overload]
        return Batch(ids, positions, self.groups, self.rows, self.skip)
