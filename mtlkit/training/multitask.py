"""The losses of one step over the tasks that it holds."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from mtlkit.batch import Batch
from mtlkit.data.tasks import TaskData
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.schedules import Piece


class TaskLosses:
    """Maps a piece of work to a loss a task, with one pass of the backbone for all of them.

    With `vectors` (task -> (N, D) of its training rows, from a frozen backbone) the backbone is not run at all.
    """

    def __init__(
        self,
        model: MultiTaskModel,
        tasks: Mapping[str, TaskData],
        device: torch.device,
        vectors: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.model = model
        self.tasks = tasks
        self.device = device
        self.vectors = vectors

    def __call__(self, piece: Piece) -> dict[str, Tensor]:
        batches = (
            {name: self.tasks[name].train.encoded.batch(rows) for name, rows in piece.items()} if self.vectors is None else {}
        )
        order = {name: batches[name].rows if batches else rows for name, rows in piece.items()}
        losses = {}
        for name, vectors in self._vectors(batches, order).items():
            head = self.model.head(name)
            labels = torch.from_numpy(self.tasks[name].train.labels[order[name]]).to(self.device)
            losses[name] = head.loss(head(vectors), labels)
        return losses

    def _vectors(self, batches: Mapping[str, Batch], order: Piece) -> dict[str, Tensor]:
        if self.vectors is not None:
            return {name: self.vectors[name][torch.from_numpy(rows).to(self.device)] for name, rows in order.items()}
        joined = self.model.encode(Batch.join(list(batches.values())).to(self.device))
        return dict(zip(batches, torch.split(joined, [len(batch) for batch in batches.values()]), strict=True))

    def describe(self, piece: Piece) -> str:
        """Which rows a step holds, for the error about a loss that is not finite."""
        return "; ".join(f"rows {', '.join(map(str, rows))} of '{name}'" for name, rows in piece.items())
