"""What trainings in two phases share: rows that are given back to training, and checkpoints that tell the phases apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from mtlkit.data.datasets.task_data import LabelledTexts, TaskData
from mtlkit.data.encoded import Encoded
from mtlkit.training.checkpointing import Saver
from mtlkit.training.state_dict import StateDict


def joined(first: LabelledTexts, second: LabelledTexts) -> LabelledTexts:
    """The rows of both, which are of the same task."""
    encoded = first.encoded.joined(second.encoded)
    labels = np.concatenate([first.labels, second.labels])
    pairs = None
    if first.pairs is not None and second.pairs is not None:
        pairs = np.concatenate([first.pairs, second.pairs + len(first.encoded)], 1)
    rows = np.arange(len(first.rows) + len(second.rows))
    return LabelledTexts(encoded, labels, rows, first.unseen + second.unseen, pairs)


def none_of(rows: LabelledTexts) -> LabelledTexts:
    """No rows, of the same task."""
    none = np.arange(0)
    pairs = None if rows.pairs is None else rows.pairs[:, none]
    return LabelledTexts(rows.encoded.take(none), rows.labels[none], none, Counter(), pairs)


def joined_tasks(tasks: Iterable[TaskData]) -> dict[str, LabelledTexts]:
    """The training and validation rows of each task. Label columns of one table share their texts afterwards, too."""
    pools: dict[tuple[int, int], Encoded] = {}
    rows = {}
    for task in tasks:
        first, second = task.train, task.validation
        rows[task.name] = joined(first, second)
        if first.pool is not None and second.pool is not None and first.index is not None and second.index is not None:
            key = id(first.pool), id(second.pool)
            pool = pools.setdefault(key, first.pool.joined(second.pool))
            index = np.concatenate([first.index, len(first.pool) + second.index])
            rows[task.name] = replace(rows[task.name], pool=pool, index=index)
    return rows


@dataclass(frozen=True)
class FirstPhaseSaver:
    """Saves the first phase. Its end is not that of the training."""

    saver: Saver

    def after(self, step: int, state: Callable[[], StateDict]) -> None:
        self.saver.after(step, state)

    def save(self, step: int, state: StateDict) -> None:
        self.saver.save(step, state)

    def ended(self, step: int, state: Callable[[], StateDict]) -> None:
        return None


@dataclass(frozen=True)
class SecondPhaseSaver:
    """Saves the second phase, with what it needs of the `first` one as a component called `name`. `steps` are those of the first
    phase, after which its own are counted."""

    saver: Saver
    name: str
    first: StateDict
    steps: int = 0

    def whole(self, state: StateDict) -> StateDict:
        tensors = {f"{self.name}:{key}": tensor for key, tensor in self.first.tensors.items()}
        return StateDict({**state.tensors, **tensors}, {**state.plain, self.name: self.first.plain})

    def after(self, step: int, state: Callable[[], StateDict]) -> None:
        self.saver.after(self.steps + step, lambda: self.whole(state()))

    def save(self, step: int, state: StateDict) -> None:
        self.saver.save(self.steps + step, self.whole(state))

    def ended(self, step: int, state: Callable[[], StateDict]) -> None:
        self.saver.ended(self.steps + step, lambda: self.whole(state()))
