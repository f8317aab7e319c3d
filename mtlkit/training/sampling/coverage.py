"""Counts how often each row was seen in training, so that rows that were never seen are reported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from mtlkit.data.batching import Rows
from mtlkit.training.state_dict import StateDict


@dataclass(frozen=True)
class CoverageCounts:
    """The number of batches and texts of a task so far, from `rows` rows. `unseen` rows were in no batch; `least` and `most`
    are how often the least and the most frequent row was seen.
    """

    batches: int
    texts: int
    rows: int
    unseen: int
    least: int
    most: int

    @property
    def repeats(self) -> float:
        """How often each row was seen on average: 1 after one pass."""
        return self.texts / self.rows


class Coverage:
    """A counter for each row of each task. `rows` is the number of rows by task."""

    def __init__(self, rows: Mapping[str, int]) -> None:
        self._times = {name: np.zeros(count, np.uint32) for name, count in rows.items()}
        self._batches: Counter[str] = Counter()

    def add(self, piece: Mapping[str, Rows]) -> None:
        """Counts the rows of a micro-batch. If small classes are oversampled, a batch may contain a row twice."""
        for name, rows in piece.items():
            np.add.at(self._times[name], rows, 1)
            self._batches[name] += 1

    def __iter__(self) -> Iterator[str]:
        return iter(self._times)

    def __getitem__(self, name: str) -> CoverageCounts:
        times = self._times[name]
        unseen = int((times == 0).sum())
        return CoverageCounts(self._batches[name], int(times.sum()), len(times), unseen, int(times.min()), int(times.max()))

    def times(self, name: str) -> Rows:
        """How often each row of a task was seen, (N,)."""
        return self._times[name].astype(np.int64)

    def left_out(self) -> str:
        """The tasks with unseen rows, such as "topic 400 of 1,000, stars 7 of 90"; empty if there are none."""
        seen = {name: self[name] for name in self._times}
        return ", ".join(f"{name} {counts.unseen:,} of {counts.rows:,}" for name, counts in seen.items() if counts.unseen)

    def state_dict(self) -> StateDict:
        """The state for `load_state_dict`."""
        tensors = {name: torch.from_numpy(times.astype(np.int64)) for name, times in self._times.items()}
        return StateDict(tensors, {"batches": dict(self._batches)})

    def load_state_dict(self, state: StateDict) -> None:
        self._times = {name: times.numpy().astype(np.uint32) for name, times in state.tensors.items()}
        self._batches = Counter(state.plain["batches"])
