"""Tasks that are label columns of one table: a batch has rows of the table, and each task gets those with a label of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from mtlkit.data.batching import Rows
from mtlkit.data.datasets.task_data import LabelledTexts
from mtlkit.data.encoded import Encoded
from mtlkit.training.objectives.base import ExampleSet


@dataclass(frozen=True, eq=False)
class SharedTexts:
    """Texts to which the labels of several tasks belong. `index` has the number of the text of each row of a task, (N,)."""

    encoded: Encoded
    index: Mapping[str, Rows]

    @cached_property
    def rows(self) -> dict[str, Rows]:
        """The row of each text, by task; -1 for a text without a label."""
        rows = {}
        for name, texts in self.index.items():
            rows[name] = np.full(len(self.encoded), -1)
            rows[name][texts] = np.arange(len(texts))
        return rows

    @property
    def name(self) -> str:
        return "+".join(self.index)  # no task has such a name

    @cached_property
    def lengths(self) -> Rows:
        """Tokens of each text, (U,)."""
        return self.encoded.lengths

    def texts_of(self, piece: Mapping[str, Rows]) -> Rows:
        """The numbers of the texts of these rows of some of the tasks, each once, ascending."""
        return np.unique(np.concatenate([self.index[name][rows] for name, rows in piece.items()]))


def shared_texts(examples: Mapping[str, ExampleSet]) -> list[SharedTexts]:
    """The texts that several of these tasks share."""
    pools: dict[int, dict[str, LabelledTexts]] = {}
    for name, texts in examples.items():
        if isinstance(texts, LabelledTexts) and texts.pool is not None:
            pools.setdefault(id(texts.pool), {})[name] = texts
    shared = []
    for tasks in pools.values():
        index = {name: texts.index for name, texts in tasks.items() if texts.index is not None}
        pool = next(iter(tasks.values())).pool
        if pool is not None and len(index) > 1:
            shared.append(SharedTexts(pool, index))
    return shared


class BatchTexts:
    """The texts of micro-batches of tasks, some of which may share theirs."""

    def __init__(self, examples: Mapping[str, ExampleSet]) -> None:
        self.shared = {task: texts for texts in shared_texts(examples) for task in texts.index}
        self._lengths = {name: texts.lengths for name, texts in examples.items() if name not in self.shared}

    def together(self, piece: Mapping[str, Rows]) -> list[dict[str, Rows]]:
        """The tasks of a micro-batch, those that share their texts together."""
        if not self.shared:
            return [{name: rows} for name, rows in piece.items()]
        together: dict[object, dict[str, Rows]] = {}
        for name, rows in piece.items():
            together.setdefault(self.shared.get(name, name), {})[name] = rows
        return list(together.values())

    def tokens(self, piece: Mapping[str, Rows]) -> int:
        """The number of tokens of all texts of a micro-batch."""
        total = 0
        for tasks in self.together(piece):
            name, rows = next(iter(tasks.items()))
            shared = self.shared.get(name)
            lengths = self._lengths[name][rows] if shared is None else shared.lengths[shared.texts_of(tasks)]
            total += int(lengths.sum())
        return total


def different_texts(examples: Mapping[str, ExampleSet]) -> dict[str, Encoded]:
    """The texts of each task, by its name, or by that of `SharedTexts` those of several tasks."""
    shared = {task: texts for texts in shared_texts(examples) for task in texts.index}
    encoded: dict[str, Encoded] = {}
    for name, texts in examples.items():
        if name in shared:
            encoded[shared[name].name] = shared[name].encoded
        else:
            encoded[name] = texts.encoded
    return encoded


def vectors_of_all(examples: Mapping[str, ExampleSet], encode: Callable[[Encoded], Tensor]) -> Iterator[tuple[str, Tensor]]:
    """The vectors of the texts of each task, (N, D). `encode` is called once for texts that several tasks share."""
    names = {task: texts for texts in shared_texts(examples) for task in texts.index}
    for key, encoded in different_texts(examples).items():
        vectors = encode(encoded)
        if key in examples:
            yield key, vectors
        else:
            own = (task for task, texts in names.items() if texts.name == key)
            yield from ((task, vectors[torch.from_numpy(names[task].index[task]).to(vectors.device)]) for task in own)


@dataclass(frozen=True, eq=False)
class ColumnUnit:
    """Tasks that share the turns of a schedule: those of a table whose labels are columns of it."""

    shared: SharedTexts
    tasks: tuple[str, ...]

    @property
    def name(self) -> str:
        return "+".join(self.tasks)  # no task has such a name

    @cached_property
    def texts(self) -> Rows:
        """The texts with a label of at least one of the tasks, (U,), ascending."""
        return np.unique(np.concatenate([self.shared.index[task] for task in self.tasks]))

    @property
    def lengths(self) -> Rows:
        """Tokens of each text, (U,)."""
        return self.shared.lengths[self.texts]

    def only(self, tasks: Iterable[str]) -> ColumnUnit:
        """The unit of some of the tasks."""
        return ColumnUnit(self.shared, tuple(tasks))

    def expand(self, rows: Rows) -> dict[str, Rows]:
        """The rows of each task among some rows of the table, numbered as in `texts`; without tasks that have no label there."""
        texts = self.texts[rows]
        piece = {task: own[own >= 0] for task in self.tasks for own in (self.shared.rows[task][texts],)}
        return {task: own for task, own in piece.items() if len(own)}


def column_units(examples: Mapping[str, ExampleSet], shares: Mapping[str, Fraction]) -> dict[str, ColumnUnit]:
    """The units, by name, of tasks with the same texts and, if they are rehearsed, the same of `shares`."""
    units = {}
    for shared in shared_texts(examples):
        by_share: dict[Fraction | None, list[str]] = {}
        for task in shared.index:
            by_share.setdefault(shares.get(task), []).append(task)
        for tasks in by_share.values():
            if len(tasks) > 1:
                unit = ColumnUnit(shared, tuple(tasks))
                units[unit.name] = unit
    return units


def lengths_of(examples: Mapping[str, ExampleSet], units: Mapping[str, ColumnUnit]) -> dict[str, Rows]:
    """The numbers of tokens of the rows of each task or unit, (N,), in the order of the tasks."""
    unit_of = {task: unit for unit in units.values() for task in unit.tasks}
    lengths: dict[str, Rows] = {}
    for name, texts in examples.items():
        unit = unit_of.get(name)
        if unit is None:
            lengths[name] = texts.lengths
        elif unit.name not in lengths:
            lengths[unit.name] = unit.lengths
    return lengths
