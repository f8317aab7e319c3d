"""Provides the sentence vectors of a micro-batch: from the backbone, or from the cache if it is frozen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from mtlkit.batch import Batch
from mtlkit.data.batching import Rows
from mtlkit.data.encoded import Encoded
from mtlkit.inference.engine import Array
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.objectives.base import Objective, all_inputs
from mtlkit.training.sampling.mixture import MicroBatch

Vectors = dict[str, tuple[Tensor, Rows]]  # by task: the vectors of its texts, (N, D), and their row numbers


class FeatureSource(Protocol):
    """Computes or loads the vectors of a micro-batch."""

    def __call__(self, piece: MicroBatch) -> Vectors: ...


class FeatureStore(Protocol):
    """The vectors of all texts of a task, or the hidden states of all their tokens, in memory or on disk."""

    def take(self, rows: Rows) -> Tensor:
        """The vectors or hidden states of these rows, (N, D), in the order of `rows`, on the compute device."""
        ...


class WholeBackbone:
    """Runs the whole backbone, once for the texts of all tasks together."""

    def __init__(self, model: MultiTaskModel, objectives: Mapping[str, Objective], device: torch.device) -> None:
        self.model, self.objectives, self.device = model, objectives, device

    def __call__(self, piece: MicroBatch) -> Vectors:
        batches = {name: self.objectives[name].train.batch(rows) for name, rows in piece.items()}
        joined = self.encode(batches, Batch.join(list(batches.values())).to(self.device))
        parts = torch.split(joined, [len(batch) for batch in batches.values()])
        return {name: (part, batch.rows) for (name, batch), part in zip(batches.items(), parts, strict=True)}

    def encode(self, batches: Mapping[str, Batch], joined: Batch) -> Tensor:
        """The vectors, (N, D), of `joined`, which concatenates the batches of all tasks."""
        return self.model.encode(joined)


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

    def encode(self, batches: Mapping[str, Batch], joined: Batch) -> Tensor:
        states_TD = torch.cat([self.stores[name].take(batch.rows) for name, batch in batches.items()])
        return self.model.backbone.encode_from(joined, states_TD, self.depth)


class CachedVectors:
    """Takes vectors from the cache; for a backbone that is completely frozen."""

    def __init__(self, stores: Mapping[str, FeatureStore], objectives: Mapping[str, Objective]) -> None:
        self.stores, self.objectives = stores, objectives

    def __call__(self, piece: MicroBatch) -> Vectors:
        texts = {name: self.objectives[name].train.texts_of(rows) for name, rows in piece.items()}
        return {name: (self.stores[name].take(numbers), numbers) for name, numbers in texts.items()}

    def all_of(self, name: str) -> Tensor:
        """What the head of a task reads for all its examples, (N, width)."""
        train = self.objectives[name].train
        return all_inputs(train, self.stores[name].take(np.arange(len(train.encoded))))


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
