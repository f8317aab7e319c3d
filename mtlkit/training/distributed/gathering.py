"""Gathers the vectors of all ranks for losses that compare the texts of a batch with each other.

The ranks of a round compute one micro-batch each at the same time, and the loss of such a task is that of the round as one batch:
each text is compared with those of all ranks. Every rank computes the whole loss, from its own vectors, which carry gradients,
and from copies of the others'. The gradients with respect to the own vectors, added up over all ranks, are those of the whole
batch.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from mtlkit.data.batching import Rows
from mtlkit.training.distributed.ranks import Ranks

Work = TypeVar("Work", contravariant=True)
Inputs = dict[str, tuple[Tensor, Rows]]  # by task: vectors, (N, D), and their numbers, (N,)


class Rounds(Generic[Work]):
    """Nothing to gather."""

    gathered: Collection[str] = ()

    def begin(self, pieces: Sequence[Work]) -> None:
        """Called before this rank computes its micro-batch of a round, of which these are all."""

    def attend(self, pieces: Sequence[Work]) -> None:
        """Called instead if it has none."""


class Gathering(Rounds[Mapping[str, Rows]]):
    """Gathers the vectors, of `width`, of the tasks in `gathered`."""

    def __init__(self, ranks: Ranks, gathered: Collection[str], width: int, device: torch.device) -> None:
        self.ranks, self.gathered, self.width, self.device = ranks, gathered, width, device
        self._due: tuple[str, ...] = ()

    def begin(self, pieces: Sequence[Mapping[str, Rows]]) -> None:
        self._due = tuple(dict.fromkeys(name for piece in pieces for name in piece if name in self.gathered))

    def attend(self, pieces: Sequence[Mapping[str, Rows]]) -> None:
        self.begin(pieces)
        self.of_all_ranks({})

    def of_all_ranks(self, inputs: Inputs) -> Inputs:
        """The inputs of all ranks for each task of this round that this rank computes. Only once a round: losses that are
        computed again later are those of this rank alone."""
        due, self._due = self._due, ()
        nothing = torch.empty(0, self.width, device=self.device), np.empty(0, np.int64)
        everything = {name: self._joined(*inputs.get(name, nothing)) for name in due}
        return {name: everything[name] for name in inputs if name in everything}

    def _joined(self, vectors: Tensor, rows: Rows) -> tuple[Tensor, Rows]:
        rows_of_ranks = self.ranks.agreed(rows)
        parts = self.ranks.rows_of_all(vectors.detach().float(), list(map(len, rows_of_ranks)))
        parts[self.ranks.rank] = vectors.float()
        return torch.cat(parts), np.concatenate(rows_of_ranks)
