"""The losses of one step over the objectives that it holds."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from mtlkit.batch import Batch
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.objectives import Objective
from mtlkit.training.schedules import Piece


class TaskLosses:
    """Maps a piece of work to a loss an objective, with one pass of the backbone for all of them.

    With `vectors` (name -> (N, D) of its training texts, from a frozen backbone) the backbone is not run at all.
    """

    def __init__(
        self,
        model: MultiTaskModel,
        objectives: Mapping[str, Objective],
        device: torch.device,
        vectors: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.model = model
        self.objectives = objectives
        self.device = device
        self.vectors = vectors

    def __call__(self, piece: Piece) -> dict[str, Tensor]:
        if self.vectors is not None:
            known = {name: self.vectors[name][torch.from_numpy(rows).to(self.device)] for name, rows in piece.items()}
            return {name: self.objectives[name].loss(vectors, piece[name]) for name, vectors in known.items()}
        batches = {name: self.objectives[name].train.batch(rows) for name, rows in piece.items()}
        joined = self.model.encode(Batch.join(list(batches.values())).to(self.device))
        parts = torch.split(joined, [len(batch) for batch in batches.values()])
        return {
            name: self.objectives[name].loss(vectors, batch.rows)
            for (name, batch), vectors in zip(batches.items(), parts, strict=True)
        }

    def describe(self, piece: Piece) -> str:
        """Which rows a step holds, for the error about a loss that is not finite."""
        return "; ".join(f"rows {', '.join(map(str, rows))} of '{name}'" for name, rows in piece.items())
