"""Provides the sentence vectors of a micro-batch: from the backbone, or from the cache if it is frozen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from mtlkit.batch import Batch
from mtlkit.data.batching import Rows
from mtlkit.data.encoded import Encoded
from mtlkit.inference.engines.base import Array
from mtlkit.model.encoder import own_encoder
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.objectives.base import ExampleSet, Objective, all_inputs
from mtlkit.training.sampling.columns import BatchTexts, SharedTexts, shared_texts
from mtlkit.training.sampling.mixture import MicroBatch

Vectors = dict[str, tuple[Tensor, Rows]]  # by task: the vectors of its texts, (N, D), or words, and their row numbers


class FeatureSource(Protocol):
    """Computes or loads the vectors of a micro-batch."""

    def __call__(self, piece: MicroBatch) -> Vectors: ...


class FeatureStore(Protocol):
    """The vectors of all texts or words of a task, or the hidden states of all their tokens, in memory or on disk."""

    def take(self, rows: Rows) -> Tensor:
        """The vectors or hidden states of these rows, (N, D), in the order of `rows`, on the compute device."""
        ...


class WholeBackbone:
    """Runs the whole backbone, once for the texts of all tasks together, and once for a text with labels of several tasks; if
    tasks have adapters of their own, once for each of them."""

    def __init__(self, model: MultiTaskModel, objectives: Mapping[str, Objective], device: torch.device) -> None:
        self.model, self.objectives, self.device = model, objectives, device
        self.texts = BatchTexts({name: objective.train for name, objective in objectives.items()})
        self.apart = any(task in model.adapters for task in objectives)

    def __call__(self, piece: MicroBatch) -> Vectors:
        parts = self.parts(piece)
        vectors: Vectors = {}
        widths = self.model.architecture.vector_dim, self.model.architecture.dim
        for together in [[part] for part in parts] if self.apart else [parts]:
            batches = [part.batch for part in together]
            joined = self.encode(together, Batch.join(batches).to(self.device))
            for part, own in zip(together, Batch.split(joined, batches, widths), strict=True):
                vectors |= part.spread(own)
        return vectors

    def parts(self, piece: MicroBatch) -> list[PartOfBatch]:
        """The texts of a micro-batch, those that tasks share together unless these have adapters of their own."""
        if self.apart:
            return [self._part({name: rows}) for name, rows in piece.items()]
        return [self._part(tasks) for tasks in self.texts.together(piece)]

    def _part(self, tasks: MicroBatch) -> PartOfBatch:
        if len(tasks) > 1:
            texts = self.texts.shared[next(iter(tasks))]
            return PartOfBatch(tasks, texts.encoded, texts.encoded.batch(texts.texts_of(tasks)), texts)
        ((name, rows),) = tasks.items()
        train = self.objectives[name].train
        return PartOfBatch(tasks, train.encoded, train.batch(rows))

    def encode(self, parts: Sequence[PartOfBatch], joined: Batch) -> Tensor:
        """The vectors, (N, D), of `joined`, which concatenates the batches of all parts; see `Encoder.read` for words."""
        return self.model.encode(joined, parts[0].task)


@dataclass(frozen=True)
class PartOfBatch:
    """The texts of one task of a micro-batch, or of several that share them; the rows of `batch` are those of `encoded`."""

    tasks: MicroBatch
    encoded: Encoded
    batch: Batch
    shared: SharedTexts | None = None

    @property
    def task(self) -> str:
        """The first of the tasks."""
        return next(iter(self.tasks))

    def spread(self, vectors: Tensor) -> Vectors:
        """The vectors of each task, from those of the texts, (N, D)."""
        if self.shared is None:
            ((name, _),) = self.tasks.items()
            return {name: (vectors, self.batch.vector_rows)}
        spread: Vectors = {}
        for name, rows in self.tasks.items():
            own = self.shared.rows[name][self.batch.rows]
            places = np.flatnonzero(np.isin(own, rows))  # a row of another task may have this label, too
            whole = len(places) == len(own)
            part = vectors if whole else vectors[torch.from_numpy(places).to(vectors.device)]
            spread[name] = part, own if whole else own[places]
        return spread

    def states(self, stores: Mapping[str, FeatureStore]) -> Tensor:
        """The cached hidden states of all tokens, (T, D)."""
        store = stores[self.task]
        return (store if self.shared is None else pool_of(store)).take(self.batch.rows)


class UpperBackbone(WholeBackbone):
    """Runs only block `depth` and those above it, on cached hidden states of all tokens; for a backbone that is frozen below.

    `stores` return the hidden states of the tokens of some texts, concatenated.
    """

    def __init__(
        self,
        model: MultiTaskModel,
        objectives: Mapping[str, Objective],
        device: torch.device,
        stores: Mapping[str, FeatureStore],
        depth: int,
    ) -> None:
        super().__init__(model, objectives, device)
        self.stores, self.depth = stores, depth

    def encode(self, parts: Sequence[PartOfBatch], joined: Batch) -> Tensor:
        states_TD = torch.cat([part.states(self.stores) for part in parts])
        return own_encoder(self.model.encoder(parts[0].task)).encode_from(joined, states_TD, self.depth)


class CachedVectors:
    """Takes vectors from the cache; for a backbone that is completely frozen."""

    def __init__(self, stores: Mapping[str, FeatureStore], objectives: Mapping[str, Objective]) -> None:
        self.stores, self.objectives = stores, objectives

    def __call__(self, piece: MicroBatch) -> Vectors:
        examples = {name: self.objectives[name].train for name in piece}
        numbers = {name: examples[name].encoded.vectors_of(examples[name].texts_of(rows)) for name, rows in piece.items()}
        return {name: (self.stores[name].take(own), own) for name, own in numbers.items()}

    def all_of(self, name: str) -> Tensor:
        """What the head of a task reads for all its examples, (N, width)."""
        train = self.objectives[name].train
        return all_inputs(train, self.stores[name].take(np.arange(train.encoded.vectors)))


class MemoryStore:
    """Holds vectors as one tensor, (N, D), on the compute device."""

    def __init__(self, vectors: Tensor) -> None:
        self.vectors = vectors

    def take(self, rows: Rows) -> Tensor:
        return self.vectors[torch.from_numpy(rows).to(self.vectors.device)]


class DiskStore:
    """Holds vectors, (N, D), in a memory-mapped file. Reads only the requested rows, adjacent ones as one slice."""

    def __init__(self, vectors: Array, device: torch.device) -> None:
        self.vectors, self.device = np.asarray(vectors), device

    def take(self, rows: Rows) -> Tensor:
        edges = np.flatnonzero(np.diff(rows) != 1)
        starts, ends = rows[np.append(0, edges + 1)].tolist(), rows[np.append(edges, -1)].tolist()
        parts = [self.vectors[start : end + 1] for start, end in zip(starts, ends, strict=True)]
        return torch.from_numpy(np.concatenate(parts)).to(self.device)


class TokenStore:
    """Takes the hidden states of all tokens of some texts from a store with a row per token, (T, D)."""

    def __init__(self, states: FeatureStore, encoded: Encoded) -> None:
        self.states, self.encoded = states, encoded

    def take(self, rows: Rows) -> Tensor:
        """The hidden states of these texts, concatenated."""
        return self.states.take(self.encoded.places(rows))


class PooledStore:
    """The vectors or hidden states of a task's texts, from a store of those of all texts that it shares with other tasks.

    `index` has the number of each row's text in `pool`, (N,).
    """

    def __init__(self, pool: FeatureStore, index: Rows) -> None:
        self.pool, self.index = pool, index

    def take(self, rows: Rows) -> Tensor:
        return self.pool.take(self.index[rows])


def pool_of(store: FeatureStore) -> FeatureStore:
    """The store of all texts that a task shares with others."""
    assert isinstance(store, PooledStore)
    return store.pool


def stores_of_tasks(examples: Mapping[str, ExampleSet], stores: Mapping[str, FeatureStore]) -> dict[str, FeatureStore]:
    """A store for each task, from those of `different_texts`."""
    pooled = {
        task: PooledStore(stores[shared.name], index) for shared in shared_texts(examples) for task, index in shared.index.items()
    }
    return {name: pooled[name] if name in pooled else stores[name] for name in examples}
