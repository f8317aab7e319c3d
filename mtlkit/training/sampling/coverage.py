"""Which rows a training has seen, and how often: no row is left out without being counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from mtlkit.data.batching import Rows
from mtlkit.training.state_dict import StateDict


@dataclass(frozen=True)
class CoverageCounts:
    """What a task has given so far: batches, and texts, of so many rows. `unseen` rows were in none of them; `least` and `most`
    are how often the rows were seen that were seen least and most often."""

    batches: int
    texts: int
    rows: int
    unseen: int
    least: int
    most: int

    @property
    def repeats(self) -> float:
        """How often a row was seen on average: 1 after one pass."""
        return self.texts / self.rows


class Coverage:
    """A counter a row, from its making on: one for an epoch, another for the whole training. `rows` are those of each task."""

    def __init__(self, rows: Mapping[str, int]) -> None:
        self._times = {name: np.zeros(count, np.uint32) for name, count in rows.items()}
        self._batches: Counter[str] = Counter()

    def add(self, piece: Mapping[str, Rows]) -> None:
        """Notes the batches of a step. A row may stand in a batch twice, where small classes are drawn more often."""
        for name, rows in piece.items():
            np.add.at(self._times[name], rows, 1)
            self._batches[name] += 1

    def __getitem__(self, name: str) -> CoverageCounts:
        times = self._times[name]
        unseen = int((times == 0).sum())
        return CoverageCounts(self._batches[name], int(times.sum()), len(times), unseen, int(times.min()), int(times.max()))

    def times(self, name: str) -> Rows:
        """How often each row of a task was seen, (N,)."""
        return self._times[name].astype(np.int64)

    def left_out(self) -> str:
        """The tasks with rows that were not seen, in words: "topic 400 of 1,000, stars 7 of 90"; nothing where there are none."""
        seen = {name: self[name] for name in self._times}
        return ", ".join(f"{name} {one.unseen:,} of {one.rows:,}" for name, one in seen.items() if one.unseen)

    def state_dict(self) -> StateDict:
        """All that `load_state_dict` needs."""
        tensors = {name: torch.from_numpy(times.astype(np.int64)) for name, times in self._times.items()}
        return StateDict(tensors, {"batches": dict(self._batches)})

    def load_state_dict(self, state: StateDict) -> None:
        self._times = {name: times.numpy().astype(np.uint32) for name, times in state.tensors.items()}
        self._batches = Counter(state.plain["batches"])
