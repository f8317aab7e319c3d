"""Where the vectors of a step's texts come from: the backbone, or what was worked out before because it is frozen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor

from mtlkit.batch import Batch
from mtlkit.data.batching import Rows
from mtlkit.data.encoded import Encoded
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.objectives.base import Objective
from mtlkit.training.sampling.mixture import Piece

Vectors = dict[str, tuple[Tensor, Rows]]  # of each task's texts, (N, D), and which of its encoded texts they are


class FeatureSource(Protocol):
    """One class a way to come by the vectors of a piece of work."""

    def __call__(self, piece: Piece) -> Vectors: ...


class FeatureStore(Protocol):
    """Vectors of all texts of a task, or states of all their tokens, wherever they are kept."""

    def take(self, rows: Rows) -> Tensor:
        """Those of some rows, (N, D), in their order, on the compute device."""
        ...


class WholeBackbone:
    """One pass of the backbone over the texts of all tasks together."""

    def __init__(self, model: MultiTaskModel, objectives: Mapping[str, Objective], device: torch.device) -> None:
        self.model, self.objectives, self.device = model, objectives, device

    def __call__(self, piece: Piece) -> Vectors:
        batches = {name: self.objectives[name].train.batch(rows) for name, rows in piece.items()}
        joined = self.encode(batches, Batch.join(list(batches.values())).to(self.device))
        parts = torch.split(joined, [len(batch) for batch in batches.values()])
        return {name: (part, batch.rows) for (name, batch), part in zip(batches.items(), parts, strict=True)}

    def encode(self, batches: Mapping[str, Batch], joined: Batch) -> Tensor:
        """The vectors of a batch, (N, D), joined of one a task."""
        return self.model.encode(joined)


class UpperBackbone(WholeBackbone):
    """The backbone is frozen below block `depth`: the blocks above run on what it reads, which was kept of every token.

    `stores` give the states of all tokens of some texts, text after text.
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
    """The backbone is wholly frozen: it is not run again."""

    def __init__(self, stores: Mapping[str, FeatureStore]) -> None:
        self.stores = stores

    def __call__(self, piece: Piece) -> Vectors:
        return {name: (self.stores[name].take(rows), rows) for name, rows in piece.items()}


class MemoryStore:
    """Vectors as one tensor, (N, D), on the compute device."""

    def __init__(self, vectors: Tensor) -> None:
        self.vectors = vectors

    def take(self, rows: Rows) -> Tensor:
        return self.vectors[torch.from_numpy(rows).to(self.vectors.device)]


class TokenStore:
    """States of every token, (T, D), which another store keeps; those of a text are those of its tokens."""

    def __init__(self, states: FeatureStore, encoded: Encoded) -> None:
        self.states, self.encoded = states, encoded

    def take(self, rows: Rows) -> Tensor:
        """The states of some texts, one text after another."""
        return self.states.take(self.encoded.places(rows))
