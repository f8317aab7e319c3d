"""The result of a training on tasks, gathered from its events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from mtlkit.errors import MtlkitError, listed
from mtlkit.recipes.training.prepare import Prepared
from mtlkit.report.forgetting import forgetting_messages
from mtlkit.training.events import BestOfTask, Chosen, Epoch, Event, Forgetting, Parts
from mtlkit.training.sampling.mixture import Piece


class TrainResult:
    """The best evaluation, the best of each task, what was forgotten. Raises MtlkitError where a frozen part changed."""

    def __init__(self) -> None:
        self.chosen: Epoch | None = None
        self.bests: tuple[BestOfTask, ...] = ()
        self.forgotten: dict[str, Any] = {}

    def add(self, event: Event) -> None:
        if isinstance(event, Chosen):
            self.chosen, self.bests = event.epoch, event.bests
        elif isinstance(event, Parts):
            check_unchanged(event)
        elif isinstance(event, Forgetting):
            self.forgotten = {"forgetting": {**event.report.to_json(), "words": forgetting_messages(event.report)}}

    def metrics(self) -> dict[str, Any]:
        """For the record of the run."""
        best = self.chosen
        assert best is not None
        scores = {state.task: state.validation for state in best.tasks}
        weights = {"loss_weights": dict(best.weights)} if best.weights else {}
        each = {one.task: {"score": one.score, "epoch": one.epoch, "step": one.step} for one in self.bests}
        tasks = {"best_per_task": each} if len(each) > 1 else {}
        place = {"score": best.score, "best_epoch": best.epoch, "best_step": best.step}
        return {"validation": scores, **place, **weights, **tasks, **self.forgotten}


def check_unchanged(parts: Parts) -> None:
    """The proof of freezing. A difference is a bug of mtlkit."""
    for part in parts.parts:
        if part.changed:
            digests = f"SHA-256 of {part.name} was {part.before} and is {part.after}"
            raise MtlkitError(f"frozen but changed: {listed(part.changed)} ({digests}); nothing was saved, please report this")


def texts_of(pieces: Sequence[Piece], prepared: Prepared) -> dict[str, list[dict[str, Any]]]:
    """The rows that pieces of work hold, by task: their numbers among the training rows, from 0, and their texts as the model
    reads them."""
    tokenizer = prepared.start.encoder.tokenizer
    found: dict[str, list[dict[str, Any]]] = {}
    for piece in pieces:
        for name, rows in piece.items():
            train = prepared.data.objectives[name].train
            for row in rows.tolist():
                batch = train.batch(np.array([row]))
                lengths = [length for texts, length in batch.groups for _ in range(texts)]
                texts = [tokenizer.decode(ids.tolist()) for ids in torch.split(batch.ids, lengths)]
                found.setdefault(name, []).append({"row": row, "texts": texts})
    return found
